import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import type { ServiceDefinition } from "@grpc/grpc-js";
import type { RefusalCode } from "../../src/errors.ts";
import { leastRole } from "../../src/issuer/roles.ts";
import { operatorRoles } from "../../src/ledger/state.ts";
import { toPem } from "../../src/pki/pem.ts";
import { call, readStream } from "../../src/rpc/client.ts";
import { Admin } from "../../src/rpc/proto.ts";
import { readStatus } from "../../src/rpc/status.ts";
import { ago, daySeconds, moved } from "../support/clock.ts";
import { checkoutId, podToken } from "../support/documents.ts";
import { type AdminClient, act, acts, createOperator, enrol, openAs, openSocket } from "../support/operators.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority, makeLeaf } from "../support/pki.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { openThiefWith } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { assertIssued, csrFor, type Identity, newKey, toIdentity } from "../support/workload.ts";

let stack: Stack;
before(async () => {
  stack = await startStack({ config: { adminListen: "127.0.0.1:0" } });
});
after(async () => await stack[Symbol.asyncDispose]());

const listRoots = async (admin: AdminClient): Promise<unknown> =>
  await call<object, unknown>(admin.listRoots.bind(admin), {}, 5_000);

const suspend = async (admin: AdminClient, operator: string): Promise<unknown> => {
  const request = { act: { operator, reason: "a test" }, kind: "cluster", name: "west", suspended: true };
  return await call<object, unknown>(admin.setSuspended.bind(admin), request, 5_000);
};

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** What came of one call, by its code; "" for an answer. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (error: unknown) => readStatus(error).code,
  );
}

/** That somebody is refused every verb with one code, and that one line and one count says so each time. */
async function assertNobody(identity: Identity | undefined, code: RefusalCode, message: RegExp): Promise<void> {
  using opened = openAs(stack.issuer, identity);
  const before = (await refusedCounts(stack.issuer.metrics))[code] ?? 0;
  const lines = stack.issuer.log.of("refused").length;
  for (const verb of [listRoots, async (admin: AdminClient) => await suspend(admin, "alice")]) {
    await assert.rejects(verb(opened.admin), { code, message });
  }
  assert.equal((await refusedCounts(stack.issuer.metrics))[code], before + 2);
  assert.deepEqual(
    stack.issuer.log
      .of("refused")
      .slice(lines)
      .map(({ fields }) => [fields["method"], fields["code"]]),
    [
      ["ListRoots", code],
      ["SetSuspended", code],
    ],
  );
}

test("every verb of the service has its role, and no role is of a verb that is not there", () => {
  assert.deepEqual(Object.keys(leastRole).sort(), Object.keys(Admin.service).sort());
});

test("whatever more than a viewer may do says in its request who does it and why", () => {
  const definition: ServiceDefinition = Admin.service;
  for (const [verb, role] of Object.entries(leastRole)) {
    const empty: unknown = definition[verb]?.requestDeserialize(Buffer.alloc(0));
    if (role !== "viewer") assert.ok(typeof empty === "object" && empty !== null && "act" in empty, verb);
  }
});

test("each verb is refused to the roles below its own, with the one that is needed, and to no other", async () => {
  const definition: ServiceDefinition = Admin.service;
  for (const [index, role] of operatorRoles.entries()) {
    using opened = openAs(stack.issuer, await enrol(stack.issuer, `walker-${role}`, role));
    for (const [verb, { path, requestSerialize, responseDeserialize, responseStream }] of Object.entries(definition)) {
      const { admin } = opened;
      const code = await codeOf(
        responseStream
          ? drain(readStream(admin.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {})))
          : new Promise((resolve, reject) => {
              const done = (error: unknown): void => (error === null ? resolve(undefined) : reject(error));
              admin.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, done);
            }),
      );
      const least = Object.entries(leastRole).find(([name]) => name === verb)?.[1] ?? "admin";
      assert.equal(code === "role-missing", operatorRoles.indexOf(least) > index, `${verb} as ${role}: ${code}`);
    }
  }
  using viewer = openAs(stack.issuer, await enrol(stack.issuer, "viewer", "viewer"));
  await assert.rejects(suspend(viewer.admin, "root"), {
    code: "role-missing",
    message: 'SetSuspended needs the role operator, and operator "viewer" is viewer',
  });
});

test("the ledger names the operator of the certificate, whatever the request says; on the socket, the socket's", async () => {
  using socket = openSocket(stack.issuer);
  using bob = openAs(stack.issuer, await enrol(stack.issuer, "bob", "operator"));
  await suspend(bob.admin, "alice");
  const [first] = await acts(socket.admin);
  assert.deepEqual(
    [first?.["verb"], first?.["operator"], first?.["reason"]],
    ["suspend-cluster", "operator:bob", "a test"],
  );
  await call<object, unknown>(
    socket.admin.setSuspended.bind(socket.admin),
    { act: { operator: "operator:bob", reason: "" }, kind: "cluster", name: "west", suspended: false },
    5_000,
  );
  const [second] = await acts(socket.admin);
  assert.deepEqual([second?.["verb"], second?.["operator"]], ["resume-cluster", "unix:operator:bob"]);
  const nobody = call<object, unknown>(
    socket.admin.setSuspended.bind(socket.admin),
    { kind: "cluster", name: "west" },
    5_000,
  );
  await assert.rejects(nobody, { code: "malformed" });
});

test("nobody without a certificate, with an agent's, a workload's or another hub's, is anybody", async () => {
  await assertNobody(undefined, "proof-missing", /no client certificate/);
  const thief = await stack.thief("east");
  await assertNobody(thief.identity, "not-this-caller", /no operator's/);

  const key = newKey();
  const workload = await stack.workload("east");
  const chain = assertIssued(await workload.ask({ csr: csrFor(checkoutId, key), token: podToken() }));
  await assertNobody(toIdentity(chain, key), "proof-missing", /no client certificate/);

  const stranger = await makeAuthority("P-256", { notBefore: ago(7200), notAfter: ago(-daySeconds) });
  const other = newKey();
  const leaf = await makeLeaf(stranger, {
    profile: "operator",
    names: { uri: "spiffe://hub.example/operator/bob", dns: [] },
    spki: other.spki,
    notBefore: ago(120),
    notAfter: ago(-3600),
  });
  const chainPem = toPem("CERTIFICATE", leaf) + toPem("CERTIFICATE", stranger.certificate);
  await assertNobody({ chainPem, keyPem: other.keyPem }, "proof-missing", /no client certificate/);
});

test("an operator is nobody at the agents' port", async () => {
  using thief = openThiefWith(stack.site, stack.issuer.address, await enrol(stack.issuer, "carol", "admin"));
  await assert.rejects(thief.sign({}), { code: "not-this-caller" });
});

test("an operator who is revoked, replaced or expired is refused from the next call on", async () => {
  using socket = openSocket(stack.issuer);
  const { admin } = socket;
  const first = await enrol(stack.issuer, "dave", "viewer");
  using dave = openAs(stack.issuer, first);
  await listRoots(dave.admin);

  await moved(stack.clock, 2 * daySeconds, async () => {
    await assertNobody(first, "proof-invalid", /expired at/);
  });
  const second = await enrol(stack.issuer, "dave", "viewer");
  await assertNobody(first, "not-this-caller", /another key/);
  using again = openAs(stack.issuer, second);
  await listRoots(again.admin);

  const revoke = async (): Promise<{ changed: boolean }> =>
    await call<object, { changed: boolean }>(admin.revokeOperator.bind(admin), { act, name: "dave" }, 5_000);
  assert.equal((await revoke()).changed, true);
  assert.equal((await revoke()).changed, false);
  await assert.rejects(listRoots(again.admin), { code: "not-this-caller", message: /was revoked at/ });
  await assertNobody(second, "not-this-caller", /was revoked at/);
  const unknown = call<object, unknown>(admin.revokeOperator.bind(admin), { act, name: "nobody" }, 5_000);
  await assert.rejects(unknown, { code: "not-found" });
});

test("an operator's certificate that is revoked by its serial number is refused from the next call on, and another is not", async () => {
  using socket = openSocket(stack.issuer);
  const { admin } = socket;
  const key = newKey();
  const { certificate } = await createOperator(admin, "grace", "viewer", { key });
  const shows = (leaf: Uint8Array): Identity => ({ chainPem: toPem("CERTIFICATE", leaf), keyPem: key.keyPem });
  const first = shows(certificate);
  using grace = openAs(stack.issuer, first);
  await listRoots(grace.admin);
  const serials = { serials: [new X509Certificate(certificate).serialNumber] };
  for await (const { limits } of readStream(admin.revoke({ act, serials })))
    assert.match(limits.join("\n"), /an operator's certificate is let in nowhere/);
  await assert.rejects(listRoots(grace.admin), {
    code: "not-this-caller",
    message: /this certificate .* was revoked at/,
  });
  await assertNobody(first, "not-this-caller", /this certificate .* was revoked at/);
  const next = await createOperator(admin, "grace", "viewer", { key });
  using again = openAs(stack.issuer, shows(next.certificate));
  await listRoots(again.admin);
});

test("a listing goes on page after page, and a page has no more than a thousand", async () => {
  using socket = openSocket(stack.issuer);
  const { admin } = socket;
  const page = async (limit: number, before = ""): Promise<readonly string[]> => {
    const cursors: string[] = [];
    for await (const { cursor } of readStream(admin.listEntries({ limit, before }))) cursors.push(cursor);
    return cursors;
  };
  const all = await page(1000);
  assert.ok(all.length > 5);
  const [first, second] = [await page(2), await page(3, all[1])];
  assert.deepEqual([...first, ...second], all.slice(0, 5));
  assert.deepEqual(await page(10, all.at(-1)), []);
  await assert.rejects(page(1, "-1"), { code: "malformed" });
});

for (const verb of ["verifyLedger", "blastRadius"] as const) {
  test(`beyond two at once ${verb} is refused, and there is room again when they end`, async () => {
    using socket = openSocket(stack.issuer);
    const { admin } = socket;
    const run = async (): Promise<void> =>
      await drain(
        readStream(
          verb === "verifyLedger" ? admin.verifyLedger({}) : admin.blastRadius({ kind: "tenant", name: "payments" }),
        ),
      );
    // Of a ledger as small as this one, each may end before the next comes.
    const refused = await eventually(async () => {
      const all = await Promise.allSettled(Array.from({ length: 12 }, run));
      const rejected = all.filter((one) => one.status === "rejected");
      assert.ok(rejected.length > 0);
      return rejected;
    });
    for (const { reason } of refused) assert.equal(readStatus(reason).code, "overloaded");
    await run();
    await run();
  });
}

test("a role that is taken away is gone without a new certificate", async () => {
  using socket = openSocket(stack.issuer);
  const key = newKey();
  const { certificate } = await createOperator(socket.admin, "erin", "operator", { key });
  using erin = openAs(stack.issuer, { chainPem: toPem("CERTIFICATE", certificate), keyPem: key.keyPem });
  await suspend(erin.admin, "");
  await createOperator(socket.admin, "erin", "viewer", { key });
  await assert.rejects(suspend(erin.admin, ""), { code: "role-missing" });
  await listRoots(erin.admin);
});

test("making an operator again makes a certificate and no act; a dry run makes neither", async () => {
  using socket = openSocket(stack.issuer);
  const { admin } = socket;
  const key = newKey();
  const count = async (): Promise<number> => (await acts(admin)).length;
  const before = stack.site.entries();
  const dry = await createOperator(admin, "frank", "admin", { key, dryRun: true });
  assert.deepEqual([dry.changed, dry.certificate.length, stack.site.entries()], [true, 0, before]);
  const first = await createOperator(admin, "frank", "admin", { key });
  const acted = await count();
  const second = await createOperator(admin, "frank", "admin", { key });
  assert.deepEqual([first.changed, second.changed, await count()], [true, false, acted]);
  const [one, two] = [first, second].map(({ certificate }) => new X509Certificate(certificate));
  assert.notEqual(one?.serialNumber, two?.serialNumber);
  assert.equal(two?.subjectAltName, "URI:spiffe://hub.example/operator/frank");
  assert.deepEqual(two?.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  await stack.site.verify();
});

for (const [what, name, role, more, code] of [
  ["a name that is none", "Alice/../x", "viewer", {}, "malformed"],
  ["no name", "", "viewer", {}, "malformed"],
  ["a role that is none", "alice", "root", {}, "malformed"],
  ["more days than there are", "alice", "viewer", { days: 91 }, "malformed"],
  ["a CSR of another name", "alice", "viewer", { uri: "spiffe://hub.example/operator/bob" }, "identity-denied"],
] as const) {
  test(`an operator with ${what} is not made`, async () => {
    using socket = openSocket(stack.issuer);
    const before = stack.site.entries();
    await assert.rejects(createOperator(socket.admin, name, role, more), { code });
    assert.equal(stack.site.entries(), before);
  });
}
