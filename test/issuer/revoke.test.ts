import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { openAdmin, readStream } from "../../src/rpc/client.ts";
import type { AdminClient } from "../../src/rpc/gen/espalier/v1/Admin.ts";
import type { Reach__Output } from "../../src/rpc/gen/espalier/v1/Reach.ts";
import type { RevokeProgress__Output } from "../../src/rpc/gen/espalier/v1/RevokeProgress.ts";
import type { RevokeRequest } from "../../src/rpc/gen/espalier/v1/RevokeRequest.ts";
import { checkout, checkoutId, podToken, usualDocuments } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { assertIssued, assertRefused, csrFor } from "../support/workload.ts";
import { assertItemRefused, issued, openStream } from "./ask.ts";

const act = { operator: "test", reason: "incident 12" };

interface Operator extends Disposable {
  readonly admin: AdminClient;
  revoke(request: RevokeRequest): Promise<RevokeProgress__Output>;
  reach(kind: string, name: string): Promise<Reach__Output>;
}

function openOperator({ site }: Stack): Operator {
  const admin = openAdmin(site.config.adminSocket);
  const last = async <T extends { readonly done: boolean }>(stream: AsyncIterable<T>): Promise<T> => {
    for await (const message of stream) if (message.done) return message;
    throw new Error("no last message");
  };
  return {
    admin,
    revoke: async (request) => await last(readStream(admin.revoke({ act, ...request }))),
    reach: async (kind, name) => await last(readStream(admin.blastRadius({ kind, name }))),
    [Symbol.dispose]: () => admin.close(),
  };
}

function serialOf(leaf: Uint8Array | string): string {
  return new X509Certificate(leaf).serialNumber;
}

const cart = { namespace: "pay-cart", serviceAccount: "cart" };
const cartUri = "spiffe://payments.example/ns/pay-cart/sa/cart";

test("a certificate that is revoked by its serial number is said to be, and renews no VM", async (t) => {
  await using stack = await startStack();
  const operator = stack.use(openOperator(stack));
  const thief = await stack.thief("east");
  const leaf = issued(await thief.sign({ token: podToken("east", { pod: false }) }));
  const other = issued(await thief.sign({ token: podToken("east", { pod: false }) }));
  issued(await thief.sign({ certificate: leaf }));
  const serials = (...all: readonly string[]): RevokeRequest => ({ target: "serials", serials: { serials: [...all] } });
  const entries = stack.site.entries();

  await t.test("what is no serial number, and one that is nobody's, revokes nothing, of a whole list", async () => {
    for (const wrong of ["", "xyz", "' OR 1=1 --", "1".repeat(41), "f".repeat(41), "a,b"])
      await assert.rejects(operator.revoke(serials(serialOf(leaf), wrong)), { code: "malformed" }, wrong);
    await assert.rejects(operator.revoke(serials(serialOf(leaf), "01".repeat(17))), { code: "not-found" });
    await assert.rejects(operator.revoke(serials(...Array.from({ length: 501 }, () => "01"))), { code: "malformed" });
    await assert.rejects(operator.revoke({ ...serials(serialOf(leaf)), crlReason: "boredom" }), { code: "malformed" });
    await assert.rejects(operator.revoke({}), { code: "malformed" });
    assert.equal((await operator.revoke({ ...serials(serialOf(leaf)), dryRun: true })).revoked, 1);
    assert.equal(stack.site.entries(), entries);
    issued(await thief.sign({ certificate: leaf }));
  });
  await t.test("it is taken as any tool prints it, once", async () => {
    const hex = serialOf(leaf).toUpperCase();
    const colons = (hex.match(/../g) ?? []).join(":");
    const all = [hex, `0x${hex.toLowerCase()}`, colons, `000${hex}`];
    const done = await operator.revoke({ ...serials(...all.slice(0, 3)), crlReason: "keyCompromise" });
    assert.deepEqual([done.revoked, done.already, done.changed], [1, 0, false]);
    assert.match(done.limits.join(), /payments is without CRLs/);
    for (const one of all) {
      const again = await operator.revoke(serials(one));
      assert.deepEqual([again.revoked, again.already], [0, 1], one);
    }
  });
  await t.test("it renews nothing; another of the same workload does", async () => {
    await assertItemRefused(
      stack,
      async () => await thief.sign({ certificate: leaf }),
      "proof-invalid",
      /it was revoked/,
    );
    issued(await thief.sign({ certificate: other }));
  });
  await stack.site.verify();
});

test("a workload that is revoked gets nothing until it is allowed to", async (t) => {
  await using stack = await startStack();
  const operator = stack.use(openOperator(stack));
  const workload = await stack.workload("east");
  const ask = async () => await workload.ask();
  const askCart = async () => await workload.ask({ token: podToken("east", cart), csr: csrFor(cartUri) });
  const [first] = assertIssued(await ask());
  assertIssued(await ask());
  assertIssued(await askCart());
  const { namespace, serviceAccount } = checkout;
  const target = { target: "workload", workload: { tenant: "payments", namespace, serviceAccount } } as const;

  await t.test("a dry run counts and changes nothing", async () => {
    const done = await operator.revoke({ ...target, dryRun: true });
    assert.deepEqual([done.revoked, done.changed], [2, true]);
    assertIssued(await ask());
  });
  await t.test("what it holds is revoked, and it gets no more; its neighbour does", async () => {
    const done = await operator.revoke(target);
    assert.deepEqual([done.revoked, done.already, done.changed], [3, 0, true]);
    assertRefused(await ask(), "suspended", /denied by an operator/);
    assertIssued(await askCart());
    const again = await operator.revoke(target);
    assert.deepEqual([again.revoked, again.already, again.changed], [0, 3, false]);
    const shown = await operator.revoke({ target: "serials", serials: { serials: [serialOf(first ?? "")] } });
    assert.equal(shown.already, 1);
  });
  await t.test("names with SQL, slashes or nothing in them are refused", async () => {
    for (const [tenant, name, code] of [
      ["payments", "' OR 1=1 --", "malformed"],
      ["payments", "", "malformed"],
      ["payments", "a/sa/b", "malformed"],
      ["' OR 1=1 --", "checkout", "not-found"],
    ] as const) {
      const wrong = { tenant, namespace: "pay-shop", serviceAccount: name };
      await assert.rejects(operator.revoke({ target: "workload", workload: wrong }), { code }, name);
    }
    assertIssued(await askCart());
  });
  await t.test("it is allowed again, and what was revoked stays so", async () => {
    await stack.issuer.suspend("workload", `payments/${namespace}/${serviceAccount}`, false);
    assertIssued(await ask());
    const counted = await operator.reach("tenant", "payments");
    assert.deepEqual(
      counted.tenants.map(({ tenant, certificates, identities }) => [tenant, certificates, identities]),
      [["payments", 4, 2]],
    );
  });
  await stack.site.verify();
});

test("an authority that is revoked signs nothing more, and another takes its place at once", async () => {
  await using stack = await startStack();
  const operator = stack.use(openOperator(stack));
  const workload = await stack.workload("east");
  const before = assertIssued(await workload.ask());
  const { tenants } = await operator.reach("root", "main");
  assert.deepEqual(
    tenants.map(({ tenant, certificates, forgeable }) => [tenant, certificates, forgeable]),
    [
      ["media", 0, true],
      ["payments", 1, true],
    ],
  );
  const id = (await authoritiesOf(operator))[0]?.id ?? "";
  const reach = await operator.reach("authority", id);
  assert.deepEqual(
    reach.tenants.map(({ tenant }) => tenant),
    ["media", "payments"],
    "a shared root does not tell a stolen authority's leaves apart",
  );
  assert.match(reach.mends.join("\n"), new RegExp(`espalier revoke authority ${id}`));
  assert.equal((await operator.revoke({ target: "authority", authority: id, dryRun: true })).changed, true);

  const done = await operator.revoke({ target: "authority", authority: id });
  assert.equal(done.changed, true);
  assert.match(done.successor, /^tenant-payments-/);
  assert.notEqual(done.successor, id);
  assert.match(done.limits.join("\n"), /peers trust whatever a thief signs .* until TrustRoot "main" is replaced/);
  const after = assertIssued(await workload.ask());
  assert.notEqual(after[1], before[1]);
  assert.equal((await operator.revoke({ target: "authority", authority: id })).changed, false);
  assert.deepEqual(
    (await authoritiesOf(operator)).map(({ state }) => state),
    ["revoked", "active"],
  );
  for (const [root, code] of [
    ["' OR 1=1 --", "not-found"],
    [await rootId(operator), "not-found"],
  ] as const)
    await assert.rejects(operator.revoke({ target: "authority", authority: root }), { code });
  await stack.site.verify();
});

test("a cluster that is revoked is let in again only with new certificates", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"] });
  const operator = stack.use(openOperator(stack));
  const thief = await stack.thief("east");
  const workload = await stack.workload("east");
  const west = await stack.workload("west");
  assertIssued(await workload.ask());
  assertIssued(await west.ask());
  const stream = openStream(thief);
  issued(await stream.ask({ token: podToken() }));
  const reach = await operator.reach("cluster", "east");
  assert.deepEqual(reach.clusters, ["east"]);
  assert.match(reach.means.join("\n"), /payments\/pods: namespaces pay-\*/);

  const done = await operator.revoke({ target: "cluster", cluster: "east" });
  assert.equal(done.changed, true);
  // Two workloads', and what the agents and the thief have: their own, and a serving one.
  assert.ok(done.revoked >= 5, String(done.revoked));
  await t.test("what is open is closed, and nobody of it gets anything", async () => {
    stream.stream.write({ items: [{ id: 9, csr: csrFor(), token: podToken() }] });
    assert.equal(await stream.ended, "proof-invalid");
    await assert.rejects(thief.sign({ token: podToken() }), { code: "proof-invalid" });
    assertIssued(await west.ask());
  });
  await t.test(
    "after a resume its own agent joins again by itself, and the thief's certificate is nobody's",
    async () => {
      await stack.issuer.suspend("cluster", "east", false);
      await eventually(async () => assertIssued(await workload.ask()));
      await assert.rejects(thief.sign({ token: podToken() }), { code: "proof-invalid" });
      assert.ok(stack.agent("east").log.of("certificate obtained").length > 2);
    },
  );
  await t.test("who has the agent's token still can join: its keys are to be changed first", async () => {
    assert.match(done.limits.join("\n"), /its token keys are as they were/);
    const again = await stack.thief("east");
    issued(await again.sign({ token: podToken() }));
    await operator.revoke({ target: "serials", serials: { serials: [serialOf(again.identity.chainPem)] } });
    await assert.rejects(again.sign({ token: podToken() }), { code: "proof-invalid" });
  });
  await t.test("one that is not there is named", async () => {
    await assert.rejects(operator.revoke({ target: "cluster", cluster: "" }), { code: "malformed" });
    for (const cluster of ["nope", "' OR 1=1 --"]) {
      await assert.rejects(operator.revoke({ target: "cluster", cluster }), { code: "not-found" });
      await assert.rejects(operator.reach("cluster", cluster), { code: "not-found" });
    }
  });
  await stack.site.verify();
});

test("an issuer that has heard of nothing refuses all the same: what another has written holds in its next write", async (t) => {
  await using stack = await startStack();
  const workload = await stack.workload("east");
  const ask = async () => await workload.ask();
  assertIssued(await ask());
  // As another replica does it, while this one is told of nothing: its view of the world stays as it was.
  const now = () => new Date();
  await using other = await openSqlite({ path: stack.site.databasePath, now, create: false });
  const { state } = other;
  const said = { log: "@hub", verb: "test", operator: "unix:test", reason: "", details: {} };
  for (const [kind, name] of [
    ["tenant", "payments"],
    ["cluster", "east"],
    ["workload", `payments/${checkoutId}`],
  ] as const) {
    await t.test(`a ${kind} is suspended`, async () => {
      await state.setSuspended({ kind, name }, true, said);
      assertRefused(await ask(), "suspended");
      await state.setSuspended({ kind, name }, false, said);
      assertIssued(await ask());
    });
  }
  await t.test("a document suspends a tenant", async () => {
    const payments = { kind: "tenant", name: "payments" } as const;
    await state.setSuspended(payments, true, said, "document");
    assertRefused(await ask(), "suspended");
    await state.setSuspended(payments, false, said, "document");
    assertIssued(await ask());
  });
  await t.test("an authority is revoked: nothing is signed with it, and the caller is to ask again", async () => {
    const active = (await state.authorities()).find(({ owner }) => owner === "payments");
    assert.ok(active?.parent !== undefined);
    const { id, parent, notAfter } = active;
    const certificate = { serial: Uint8Array.of(1), log: "payments", authority: parent, notAfter } as const;
    await state.revokeAuthority(id, { ...certificate, reason: "cACompromise" }, said);
    assertRefused(await ask(), "unavailable", /revoked a moment ago/);
  });
});

async function authoritiesOf({ admin }: Operator): Promise<readonly { readonly id: string; readonly state: string }[]> {
  return await new Promise((resolve, reject) => {
    admin.listTenants({}, (error, reply) => {
      const tenant = reply?.tenants.find(({ name }) => name === "payments");
      if (error !== null || tenant === undefined) reject(error ?? new Error("no tenant"));
      else resolve(tenant.authorities);
    });
  });
}

/** As far as it is told: roots have no ids outside. */
async function rootId({ admin }: Operator): Promise<string> {
  return await new Promise((resolve, reject) => {
    admin.listRoots({}, (error, reply) => (error === null ? resolve(reply?.roots[0]?.name ?? "") : reject(error)));
  });
}

test("a document's suspension is copied to where every replica reads it, and goes with the document's word", async () => {
  await using stack = await startStack({ renewalMs: 50 });
  const { site } = stack;
  const documents = (suspended: boolean) =>
    usualDocuments().map((one, index) => {
      const spec = index === 1 && typeof one["spec"] === "object" ? { ...one["spec"], suspended } : one["spec"];
      return { ...one, spec };
    });
  const rows = async () => {
    await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
    return await database.state.suspensions();
  };
  const lag = async (): Promise<number> => {
    const found = stack.issuer.metrics.registry.getSingleMetric("espalier_issuer_suspension_lag_seconds");
    return (await found?.get())?.values[0]?.value ?? -1;
  };
  site.declare(documents(true));
  await eventually(async () =>
    assert.deepEqual(await rows(), [{ kind: "tenant", name: "payments", source: "document" }]),
  );
  const workload = await stack.workload("east");
  await eventually(async () => assertRefused(await workload.ask(), "suspended"));
  await eventually(async () => assert.equal(await lag(), 0));
  await stack.issuer.suspend("tenant", "payments", false);
  assertRefused(await workload.ask(), "suspended");
  site.declare(documents(false));
  await eventually(async () => assert.deepEqual(await rows(), []));
  await eventually(async () => assertIssued(await workload.ask()));
});
