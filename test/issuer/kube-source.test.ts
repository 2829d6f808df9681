import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parse } from "yaml";
import { type DeclaredSource, openSource } from "../../src/issuer/source.ts";
import { finalizer } from "../../src/issuer/status.ts";
import type { World } from "../../src/issuer/world.ts";
import { toWorld } from "../../src/issuer/world.ts";
import { isRecord, type JsonRecord, listAt, recordAt } from "../../src/kube/json.ts";
import type { NamesInUse } from "../../src/ledger/state.ts";
import { issuerSchema } from "../../src/ops/config.ts";
import { namings } from "../../src/resources/crd.ts";
import type { Declared } from "../../src/resources/declared.ts";
import type { Kind } from "../../src/resources/kind.ts";
import { cluster, root, tenant } from "../resources/build.ts";
import { hubName } from "../support/documents.ts";
import { openKeptLog } from "../support/kept-log.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";

const collectionOf = (kind: Kind): string => `espalier.dev/v1alpha1/${namings[kind].plural}`;

interface Stage {
  readonly api: MemoryApi;
  readonly source: DeclaredSource;
  readonly log: ReturnType<typeof openKeptLog>;
  /** Everything that came into force after `load`. */
  readonly taken: Declared[];
  lead: boolean;
  /** What is out, as the database has it. */
  inUse: readonly NamesInUse[];
  put(text: string): void;
  remove(kind: Kind, name: string): void;
  object(kind: Kind, name: string): JsonRecord;
  condition(kind: Kind, name: string, type: string): JsonRecord;
  /** Loads and follows. */
  start(): Promise<Declared>;
}

async function openStage(t: TestContext): Promise<Stage> {
  const directory = mkdtempSync(join(tmpdir(), "espalier-source-"));
  const stack = new AsyncDisposableStack();
  t.after(async () => await stack.disposeAsync());
  stack.defer(() => rmSync(directory, { recursive: true }));
  const api = stack.use(await startMemoryApi());
  const log = openKeptLog();
  const config = issuerSchema.parse({
    hub: hubName,
    kubernetes: { kubeconfig: writeKubeconfig(directory, api.access) },
  });
  const stage: Pick<Stage, "lead" | "inUse"> = { lead: true, inUse: [] };
  const state = { namesInUse: async () => stage.inUse };
  const source = stack.use(await openSource(config, { state, now: () => new Date(), log, leads: () => stage.lead }));
  const taken: Declared[] = [];
  const object: Stage["object"] = (kind, name) => api.store.get(collectionOf(kind), name)?.object ?? {};
  return Object.assign(stage, {
    api,
    source,
    log,
    taken,
    put: (text: string) => {
      const document: unknown = parse(text);
      assert.ok(isRecord(document));
      const name = String(recordAt(document, "metadata")["name"]);
      const kind = document["kind"];
      assert.ok(kind === "TrustRoot" || kind === "MeshTenant" || kind === "MeshCluster");
      const { metadata, status } = object(kind, name);
      const whole = { ...recordAt({ metadata }, "metadata"), ...recordAt(document, "metadata") };
      api.store.write(collectionOf(kind), name, { ...document, metadata: whole, status }, new Map());
    },
    remove: (kind: Kind, name: string) => api.store.remove(collectionOf(kind), name),
    object,
    condition: (kind: Kind, name: string, type: string) =>
      listAt(recordAt(object(kind, name), "status"), "conditions")
        .filter(isRecord)
        .find((one) => one["type"] === type) ?? {},
    start: async () => {
      const declared = await source.load();
      let world = toWorldOf(declared);
      const listeners = new Set<() => void>();
      const onChange = (changed: () => void) => {
        listeners.add(changed);
        return () => void listeners.delete(changed);
      };
      stack.use(source.show({ world: () => world, onChange }));
      const onTaken = (next: Declared): void => {
        world = toWorldOf(next);
        taken.push(next);
        for (const changed of listeners) changed();
      };
      const onRefused = (refusal: Error): void => log.error("refused", { problems: refusal.message });
      stack.use(source.follow(declared, { onChange: onTaken, onRefused }));
      return declared;
    },
  });
}

/** Nothing is made yet in this world. */
function toWorldOf(declared: Declared): World {
  const none = (): never => assert.fail("nothing is signed here");
  const authorities = { active: () => undefined, byId: () => undefined, above: none, bundleOf: none, records: [] };
  const made = { authorities, authorityRequests: [], suspensions: [], revokedOwn: new Set<string>(), crls: [] };
  return toWorld({ hub: hubName, declared, ...made, keysOf: () => [], proposedOf: () => [] });
}

test("objects are judged as documents are, together, and told that they are in force", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  const declared = await stage.start();
  assert.deepEqual([...declared.tenants.keys()], ["shop"]);
  await eventually(() => {
    const { status, reason, observedGeneration } = stage.condition("MeshTenant", "shop", "Accepted");
    assert.deepEqual([status, reason, observedGeneration], ["True", "InForce", 1]);
  });
  const ready = stage.condition("MeshTenant", "shop", "Ready");
  assert.equal(ready["status"], "False");
  assert.match(String(ready["message"]), /espalier root create main/);
});

test("what may not be meant is in force, and its object says so until it is mended", async (t) => {
  const stage = await openStage(t);
  for (const text of [
    root(),
    tenant("shop", { rules: '[{ name: all, clusters: [east], namespaces: ["*"] }]' }),
    cluster("east"),
  ])
    stage.put(text);
  await stage.start();
  await eventually(() => {
    const { status, reason, message } = stage.condition("MeshTenant", "shop", "Accepted");
    assert.deepEqual([status, reason], ["True", "InForce"]);
    assert.match(String(message), /^in force as it stands here; warning: spec\.rules\[0\]\.namespaces.*\*/);
  });
  await eventually(() =>
    assert.equal(stage.condition("MeshCluster", "east", "Accepted")["message"], "in force as it stands here"),
  );
  stage.put(tenant("shop"));
  await eventually(() =>
    assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["message"], "in force as it stands here"),
  );
});

test("a bad edit leaves the last good state in force, and its object says why; the others wait", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  await eventually(() => assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["status"], "True"));
  stage.put(tenant("shop", { root: "nowhere" }));
  stage.put(cluster("west", { servingNames: "[ca.west.example]" }));
  await eventually(() => {
    const { status, reason, message, observedGeneration } = stage.condition("MeshTenant", "shop", "Accepted");
    assert.deepEqual([status, reason, observedGeneration], ["False", "Refused", 2]);
    assert.equal(message, 'generation 1 stays in force; spec.root: there is no TrustRoot "nowhere"');
    assert.deepEqual(stage.condition("MeshCluster", "west", "Accepted")["reason"], "Waiting");
    assert.deepEqual(stage.condition("MeshCluster", "east", "Accepted")["reason"], "InForce");
  });
  assert.deepEqual(stage.taken, []);
  stage.put(tenant("shop"));
  await eventually(() => assert.deepEqual([...(stage.taken.at(-1)?.clusters.keys() ?? [])].sort(), ["east", "west"]));
  await eventually(() => assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["observedGeneration"], 3));
});

test("a tenant that is declared anew with another trust domain is refused while certificates of the first are out", async (t) => {
  const stage = await openStage(t);
  const until = new Date("2100-01-01T00:00:00Z");
  stage.inUse = [{ tenant: "shop", identity: "spiffe://old.example/ns/shop/sa/web", lastEnd: until }];
  for (const text of [root(), cluster("east")]) stage.put(text);
  await stage.start();
  stage.put(tenant("shop"));
  await eventually(() => {
    const { reason, message } = stage.condition("MeshTenant", "shop", "Accepted");
    assert.equal(reason, "Refused");
    assert.match(String(message), /spec\.trustDomain: cannot be changed to .*"old\.example" are out until 2100-01-01/);
  });
  stage.inUse = [];
  stage.put(tenant("shop", { more: "suspended: true" }));
  await eventually(() => assert.deepEqual([...(stage.taken.at(-1)?.tenants.keys() ?? [])], ["shop"]));
});

test("what a tenant in force names is held, and let go once none does", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), root("other"), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  const held = (kind: Kind, name: string): boolean =>
    listAt(recordAt(stage.object(kind, name), "metadata"), "finalizers").includes(finalizer);
  await eventually(() => assert.deepEqual([held("TrustRoot", "main"), held("MeshCluster", "east")], [true, true]));
  assert.equal(held("TrustRoot", "other"), false);
  stage.put(tenant("bank", { root: "other" }));
  await eventually(() => assert.deepEqual([held("TrustRoot", "main"), held("TrustRoot", "other")], [true, true]));
  assert.equal(held("MeshTenant", "shop"), false);
  stage.remove("MeshTenant", "shop");
  await eventually(() => assert.deepEqual([held("TrustRoot", "main"), held("TrustRoot", "other")], [false, true]));
});

test("what is gone all the same, by force, stays in force", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  await eventually(() => assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["status"], "True"));
  stage.remove("MeshCluster", "east");
  await eventually(() => {
    const { reason, message } = stage.condition("MeshTenant", "shop", "Accepted");
    assert.equal(reason, "Refused");
    assert.match(String(message), /MeshCluster "east" is named here and cannot be deleted/);
  });
  for (const [kind, name] of [
    ["TrustRoot", "main"],
    ["MeshTenant", "shop"],
  ] as const)
    stage.remove(kind, name);
  await eventually(() => assert.match(JSON.stringify(stage.log.of("refused").at(-1)), /holds no documents any more/));
  assert.deepEqual(stage.taken, []);
});

test("what is bad from the start is waited for, and says so in its status", async (t) => {
  const stage = await openStage(t);
  stage.put(tenant("shop"));
  stage.put(cluster("east"));
  const started = stage.start();
  await eventually(() => assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["reason"], "Refused"));
  assert.equal(stage.condition("MeshTenant", "shop", "Ready")["reason"], "NotInForce");
  assert.equal(stage.log.of("resources refused, none are in force").length, 1);
  stage.put(root());
  assert.deepEqual([...(await started).tenants.keys()], ["shop"]);
});

test("connections that break and history that is lost lose no edit", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  stage.api.closeConnections();
  stage.put(cluster("west", { servingNames: "[ca.west.example]" }));
  stage.api.store.compact();
  await eventually(() => assert.equal(stage.taken.at(-1)?.clusters.has("west"), true));
});

test("who does not lead writes nothing, until it does", async (t) => {
  const stage = await openStage(t);
  stage.lead = false;
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  stage.put(cluster("west", { servingNames: "[ca.west.example]" }));
  await eventually(() => assert.equal(stage.taken.length, 1));
  assert.deepEqual(
    stage.api.requests.filter(({ verb }) => verb !== "GET"),
    [],
  );
  stage.lead = true;
  await eventually(() => assert.equal(stage.condition("MeshTenant", "shop", "Accepted")["status"], "True"));
});

test("a status that stands is not written again", async (t) => {
  const stage = await openStage(t);
  for (const text of [root(), tenant("shop"), cluster("east")]) stage.put(text);
  await stage.start();
  await eventually(() => assert.equal(stage.condition("MeshCluster", "east", "Accepted")["status"], "True"));
  await eventually(() => assert.equal(stage.condition("TrustRoot", "main", "Accepted")["status"], "True"));
  const writes = () => stage.api.requests.filter(({ verb }) => verb === "PATCH").length;
  const west = cluster("west", { servingNames: "[ca.west.example]" });
  stage.put(west);
  await eventually(() => assert.equal(stage.condition("MeshCluster", "west", "Accepted")["status"], "True"));
  /** How many there were before a while in which none came. */
  const settled = async (): Promise<number> =>
    await eventually(async () => {
      const before = writes();
      await delay(1_000);
      assert.equal(writes(), before);
      return before;
    });
  const before = await settled();
  // A label is none of ours: its object comes anew, and nothing is said anew.
  stage.put(west.replace("name: west", "name: west\n  labels: { a: b }"));
  assert.equal(await settled(), before);
});
