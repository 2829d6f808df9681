import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { Rotation__Output } from "../../src/rpc/gen/espalier/v1/Rotation.ts";
import { draft } from "../contract/drafts.ts";
import { espalier } from "../ctl/stage.ts";
import { clusterDocument, type Document, document, podToken } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { type Stack, startIssuerOn, startStack } from "../support/stack.ts";
import { assertIssued } from "../support/workload.ts";

const leafSeconds = 300;
const settleSeconds = 60;
const waitMs = 120_000;

/** One tenant with short certificates, in one cluster. */
function documents(rules: readonly object[] = [{ name: "pods", clusters: ["east"], namespaces: ["pay-*"] }]) {
  const seconds = { defaultSeconds: leafSeconds, minimumSeconds: leafSeconds, maximumSeconds: leafSeconds };
  const payments = { trustDomain: "payments.example", root: "main", rules, profiles: { workload: seconds } };
  return [document("TrustRoot", "main", {}), document("MeshTenant", "payments", payments), clusterDocument("east")];
}

async function open(all: readonly Document[] = documents()): Promise<Stack> {
  return await startStack({ documents: all, renewalMs: 50, config: { rotation: { settleSeconds } } });
}

/** What a verb of `root` says, and that it was understood. */
async function say({ site }: Pick<Stack, "site">, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await espalier(["root", ...argv], site.config.adminSocket);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function show(stack: Pick<Stack, "site">, ...argv: readonly string[]): Promise<Rotation__Output> {
  const [rotation]: readonly Rotation__Output[] = JSON.parse(await say(stack, "status", "main", "-o", "json", ...argv));
  assert.ok(rotation);
  return rotation;
}

function waits({ waitingFor }: Rotation__Output): readonly string[] {
  return waitingFor.map(({ kind, name }) => `${kind} ${name}`);
}

/** The agent has what there is: before that, a clock that goes ahead takes it along. */
async function acknowledged(stack: Stack): Promise<void> {
  await eventually(async () => {
    const { waitingFor } = await show(stack);
    assert.ok(waitingFor.some(({ kind }) => kind === "settle") && !waitingFor.some(({ kind }) => kind === "agent"));
  }, waitMs);
}

/** The roots that came with a certificate. */
function rootsOf(chain: readonly string[]): readonly X509Certificate[] {
  const pem = chain.at(-1) ?? "";
  return pem.split(/(?<=-----END CERTIFICATE-----\n)/).map((one) => new X509Certificate(one));
}

function signer(chain: readonly string[]): X509Certificate | undefined {
  const above = new X509Certificate(chain[1] ?? "");
  assert.ok(new X509Certificate(chain[0] ?? "").verify(above.publicKey));
  return rootsOf(chain).find((root) => above.verify(root.publicKey));
}

test("a root is rotated by one verb, on what the ledger and the agents show, and nobody is refused", async () => {
  await using stack = await open();
  const { clock, issuer } = stack;
  const workload = await stack.workload("east");
  const ask = async (): Promise<readonly string[]> => assertIssued(await workload.ask());
  const first = await ask();
  assert.equal(rootsOf(first).length, 1);
  assert.match(await say(stack, "status"), /no rotation is under way/);
  assert.match(await say(stack, "rotate", "main", "--dry-run"), /nothing done; without --dry-run, the next root/);
  assert.match(await say(stack, "status"), /no rotation is under way/);

  assert.match(await say(stack, "rotate", "main", "--reason", "yearly"), /is made and trusted/);
  assert.match(await say(stack, "rotate", "main"), /is so already/);
  await eventually(async () => assert.equal(rootsOf(await ask()).length, 2));
  const begun = await show(stack);
  assert.equal(begun.phase, "prepared");
  assert.deepEqual([begun.certificates, begun.leaves[0]?.tenant, begun.leaves[0]?.cluster], [1, "payments", "east"]);
  assert.ok(waits(begun).includes("leaves payments/east/istio"));
  assert.equal(signer(await ask())?.fingerprint256, rootsOf(first)[0]?.fingerprint256);
  const metric = async (): Promise<string> =>
    await issuer.metrics.registry.getSingleMetricAsString("espalier_issuer_rotation_waiting");
  await eventually(async () =>
    assert.match(await metric(), /kind="root",owner="main",phase="prepared",what="leaves"\} 1/),
  );

  await acknowledged(stack);
  // The leaf of before ends, and the settle time after it.
  clock.offsetSeconds += leafSeconds + 5;
  await eventually(async () => assert.deepEqual(waits(await show(stack)), ["leaves payments/east/istio"]), waitMs);
  clock.offsetSeconds += settleSeconds;
  await eventually(async () => assert.equal((await show(stack)).phase, "active"), waitMs);
  await ask();
  await eventually(() => assert.equal(issuer.log.of("authority prepared").length, 1), waitMs);
  // The new authority signs 600 s after it was prepared. One that the old signs before outlives that, however slow this machine is.
  clock.offsetSeconds += 400;
  const last = rootsOf(await ask()).at(-1)?.fingerprint256;
  clock.offsetSeconds += 201;
  await eventually(async () => assert.equal(signer(await ask())?.fingerprint256, last), waitMs);
  assert.ok((await show(stack)).certificates > 0, "what the old root has signed holds it");
  clock.offsetSeconds += leafSeconds + settleSeconds + 5;
  await eventually(async () => assert.equal((await show(stack)).phase, "none"), waitMs);
  await eventually(
    async () =>
      assert.deepEqual(
        rootsOf(await ask()).map((r) => r.fingerprint256),
        [last],
      ),
    waitMs,
  );
  assert.deepEqual(issuer.log.of("refused"), []);
  assert.deepEqual(issuer.log.of("roots not rotated"), []);
  assert.equal(issuer.log.of("root active").length, 1);
  assert.equal(issuer.log.of("root retired").length, 1);
  await issuer[Symbol.asyncDispose]();
  await stack.site.verify();
});

test("a root that is rolled back signs again, and the other one goes when nothing is under it", async () => {
  await using stack = await open();
  const { clock } = stack;
  const workload = await stack.workload("east");
  const ask = async (): Promise<readonly string[]> => assertIssued(await workload.ask());
  const [old] = rootsOf(await ask());
  await say(stack, "rotate", "main");
  await eventually(async () => assert.equal(rootsOf(await ask()).length, 2));
  assert.match(await say(stack, "rollback", "main", "--reason", "too early"), /goes back/);
  await eventually(async () => assert.equal(rootsOf(await ask()).length, 1));

  await say(stack, "rotate", "main");
  await eventually(async () => assert.equal(rootsOf(await ask()).length, 2));
  await acknowledged(stack);
  clock.offsetSeconds += leafSeconds + settleSeconds + 5;
  const { log } = stack.issuer;
  await eventually(() => assert.equal(log.of("authority prepared").length, 1), waitMs);
  clock.offsetSeconds += 601;
  await eventually(async () => assert.notEqual(signer(await ask())?.fingerprint256, old?.fingerprint256), waitMs);
  await say(stack, "rollback", "main", "--reason", "incident 12");
  const { coming, leaving } = await show(stack);
  assert.ok(coming && leaving);
  assert.equal(leaving.state, "retiring");
  // Whoever has lost the answer says it again, and the other root does not sign by that.
  assert.match(await say(stack, "rollback", "main", "--reason", "incident 12"), /is so already/);
  assert.match(await say(stack, "rollback", "main", "--to", coming.id), /is so already/);
  assert.equal((await show(stack)).coming?.id, coming.id);
  assert.match(
    await say(stack, "rollback", "main", "--to", leaving.id, "--dry-run"),
    /without --dry-run, .* goes back/,
  );
  const other = await espalier(["root", "rollback", "main", "--to", "root-main-x"], stack.site.config.adminSocket);
  assert.notEqual(other.code, 0);
  assert.match(other.stderr, /"root-main-x" is no root that this rotation can go back to/);
  await eventually(() => assert.equal(log.of("authority prepared").length, 2), waitMs);
  clock.offsetSeconds += 601;
  await eventually(async () => assert.equal(signer(await ask())?.fingerprint256, old?.fingerprint256), waitMs);
  clock.offsetSeconds += leafSeconds + settleSeconds + 5;
  await eventually(async () => assert.equal((await show(stack)).phase, "none"), waitMs);
  await eventually(async () =>
    assert.deepEqual(
      rootsOf(await ask()).map((r) => r.fingerprint256),
      [old?.fingerprint256],
    ),
  );
});

test("a held rotation waits, a blind door is acknowledged by its name, and nobody else's name is one", async () => {
  const rules = [{ name: "vms", clusters: ["east"], namespaces: ["pay-*"], proofs: ["token", "certificate"] }];
  await using stack = await open(documents(rules));
  const { clock, site } = stack;
  const workload = await stack.workload("east");
  await say(stack, "rotate", "main");
  await eventually(async () => {
    const answered = assertIssued(await workload.ask({ token: podToken("east", { pod: false }) }));
    assert.equal(rootsOf(answered).length, 2);
  });
  await acknowledged(stack);
  await say(stack, "hold", "main");
  assert.match(await say(stack, "hold", "main"), /is so already/);
  clock.offsetSeconds += settleSeconds + 5;
  const doors = ["door istiod:east", "door vm:east"];
  await eventually(async () =>
    assert.deepEqual(
      waits(await show(stack)).filter((one) => !one.startsWith("leaves")),
      ["hold hold", ...doors],
    ),
  );
  const wrong = await espalier(["root", "continue", "main", "--acknowledge", "vm:west"], site.config.adminSocket);
  assert.match(wrong.stderr, /"vm:west" does not hold this rotation: istiod:east, vm:east do/);
  await say(stack, "continue", "main", "--acknowledge", "vm:east", "istiod:east", "--reason", "done");
  clock.offsetSeconds += leafSeconds;
  await eventually(async () => assert.equal((await show(stack)).phase, "active"), waitMs);
});

test("verbs for what is not there are refused, with what would help", async () => {
  await using stack = await open();
  for (const [argv, says] of [
    [["rotate", "other"], /no TrustRoot "other" is declared/],
    [["hold", "main"], /no rotation of "main" is under way/],
    [["rollback", "main"], /no rotation of "main" is under way/],
    [["rotate"], /give the name of a TrustRoot, or --serving and a cluster/],
  ] as const) {
    const { code, stderr } = await espalier(["root", ...argv], stack.site.config.adminSocket);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  }
});

test("a serving root is rotated when its cluster's agents have it", async () => {
  await using stack = await open();
  const { clock } = stack;
  await say(stack, "rotate", "--serving", "east");
  const shown = async (): Promise<Rotation__Output | undefined> => {
    const all: readonly Rotation__Output[] = JSON.parse(await say(stack, "status", "--serving", "east", "-o", "json"));
    return all[0];
  };
  await eventually(async () =>
    assert.match((await shown())?.waitingFor.map(({ kind }) => kind).join() ?? "", /^settle$/),
  );
  clock.offsetSeconds += settleSeconds + 5;
  await eventually(async () => assert.equal((await shown())?.phase, "active"), waitMs);
  assert.ok(((await shown())?.certificates ?? 0) > 0, "the agent's certificate is under the old one");
});

test("whoever looks sees what holds a rotation back and until when; whoever watches sees it change, and is done with it", async () => {
  const rules = [{ name: "vms", clusters: ["east", "west"], namespaces: ["pay-*"], proofs: ["token", "certificate"] }];
  await using stack = await open([...documents(rules), clusterDocument("west")]);
  const workload = await stack.workload("east");
  const [leaf = ""] = assertIssued(await workload.ask({ token: podToken("east", { pod: false }) }));
  const end = Date.parse(new X509Certificate(leaf).validTo);
  await say(stack, "rotate", "main");
  const expected = ["door istiod:east", "door vm:east", "agent agent:west", "leaves payments/east/istio"];
  await eventually(async () =>
    assert.deepEqual(
      // What settles is over in a minute.
      waits(await show(stack)).filter((one) => !one.startsWith("settle ")),
      expected,
    ),
  );

  const lines = (await say(stack, "status", "main")).split("\n").map((line) => line.split(/ {2,}/));
  const [of, ends] = [new Map(lines.map(([name = "", ...rest]) => [name, rest])), new Date(end).toISOString()];
  assert.deepEqual(of.get("root:"), ["main (workload)"]);
  assert.deepEqual(of.get("phase:"), ["prepared: the new root is trusted and signs nothing"]);
  assert.deepEqual(of.get("next step:"), ["the new root signs"]);
  assert.deepEqual(of.get("gate:"), ["shut"]);
  assert.deepEqual(of.get("at the latest: not before what has no end below is seen to"), []);
  assert.deepEqual(of.get("held back by:"), ["1 certificate"]);
  assert.deepEqual(of.get("agent"), ["agent:west", "no agent of cluster west has acknowledged it"]);
  const doors = lines.filter(([kind]) => kind === "door").map(([, name, says]) => [name, says]);
  assert.deepEqual(doors, [
    ["istiod:east", "every istiod that VMs of cluster east connect to was restarted after it had the new root"],
    ["vm:east", "VMs of cluster east have the new root wherever they keep a copy of one"],
  ]);
  assert.deepEqual(of.get("payments"), ["east", "istio", "1", ends, ends]);

  let heard = "";
  const watching = espalier(["root", "status", "main", "--watch"], stack.site.config.adminSocket, (text) => {
    heard += text;
  });
  const hears = async (what: RegExp): Promise<void> => await eventually(() => assert.match(heard, what));
  await hears(/^gate: +shut$/m);
  await say(stack, "continue", "main", "--acknowledge", "vm:east", "istiod:east", "agent:west");
  await hears(new RegExp(`^at the latest: ${new Date(end + settleSeconds * 1000).toISOString()}$`, "m"));
  await say(stack, "hold", "main");
  await hears(/^gate: +held$/m);
  await say(stack, "rollback", "main");
  const { code, stdout } = await watching;
  assert.equal(code, 0);
  assert.match(stdout, /\n\nno rotation is under way\n$/);
});

test("however much is waited for, something of each kind is shown, and how much there is of it", async () => {
  const names = Array.from({ length: 230 }, (_, i) => `c${i}`);
  const rules = [{ name: "vms", clusters: names, namespaces: ["pay-*"], proofs: ["token", "certificate"] }];
  const [root, tenant] = documents(rules);
  assert.ok(root && tenant);
  using site = await makeSite({
    documents: [root, tenant, ...names.map((name) => clusterDocument(name))],
    serving: [],
  });
  {
    await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
    const signing = (await database.state.authorities()).find(({ kind }) => kind === "tenant");
    const [bundleVersion = ""] = await database.state.bundlesWith(signing?.parent ?? "");
    const of = { log: "payments", identity: "spiffe://payments.example/ns/pay-cart/sa/cart" } as const;
    const more = { ...of, authority: signing?.id ?? "", bundleVersion, proof: "certificate" } as const;
    const at = Date.now();
    const ends = (i: number): Date => new Date(at + (3600 + i) * 1000);
    await database.ledger.intend(names.map((cluster, i) => draft({ ...more, cluster, notAfter: ends(i) })));
  }
  await using _ = await startIssuerOn(site);
  await say({ site }, "rotate", "main");
  await say({ site }, "hold", "main");

  const seen = await show({ site });
  assert.deepEqual(seen.waiting, { hold: 1, door: 460, agent: 230, leaves: 230 });
  assert.deepEqual(
    [...Map.groupBy(seen.waitingFor, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]),
    [
      ["hold", 1],
      ["door", 200],
      ["agent", 200],
      ["leaves", 200],
    ],
  );
  assert.deepEqual([seen.certificates, seen.leaves.length, seen.leaves[0]?.cluster], [230, 200, "c229"]);

  const lines = (await say({ site }, "status", "main")).split("\n");
  const shown = (kind: string): number => lines.filter((line) => line.startsWith(kind)).length;
  assert.deepEqual([shown("hold "), shown("door "), shown("agent "), shown("payments ")], [1, 21, 21, 20]);
  assert.ok(lines.includes("door       and 440 more"), lines.join("\n"));
  assert.ok(lines.includes("agent      and 210 more"));
  assert.ok(lines.includes("and 210 more"));
  const wrong = await espalier(["root", "continue", "main", "--acknowledge", "vm:west"], site.config.adminSocket);
  assert.match(wrong.stderr, /"vm:west" does not hold this rotation: (\S+, ){9}\S+ and 680 more do/);
});
