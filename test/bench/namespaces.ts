/**
 * `npm run bench:kube`: how soon a new namespace has its roots, in a real API server with a thousand others, beside what
 * kube-controller-manager publishes into the same namespaces. What was written is checked afterwards.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Informer, startInformer } from "../../src/kube/informer.ts";
import { type ConfigMap, readConfigMap } from "../../src/kube/meta.ts";
import { deleteObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { until } from "../contract/kube-setting.ts";
import { document } from "../support/documents.ts";
import { buildImage } from "../support/image.ts";
import { type KubeSite, openKubeSite } from "../support/kube-site.ts";

const help = `usage: npm run bench:kube -- [options]

  --existing N  namespaces that are there before (default 1000)
  --new N       namespaces that are measured, one after the other, and then again fifty at a time (default 300)
  --json        results as JSON
  --help
`;

/** Of a new namespace's roots, at the 99th percentile. */
const goal = { p99Ms: 1_000 };
const atOnce = 50;
/** Between one and the next: a cluster in use, not a race. */
const pauseMs = 30;
const peerConfigMap = "kube-root-ca.crt";

interface Row {
  readonly what: string;
  readonly namespaces: number;
  readonly ours: Times;
  /** kube-controller-manager's own ConfigMap, in the same namespaces. */
  readonly peer: Times;
  /** Of ours to the peer's. */
  readonly ratio: { readonly p50: number; readonly p99: number };
}

interface Times {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

const { values } = parseArgs({
  options: {
    existing: { type: "string", default: "1000" },
    new: { type: "string", default: "300" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [existing, measured] = [Number(values.existing), Number(values.new)];
const { KUBECONFIG: kubeconfig } = process.env;

if (values.help) process.stdout.write(help);
else if (kubeconfig === undefined || !Number.isInteger(existing) || !(Number.isInteger(measured) && measured > 0)) {
  process.stderr.write(help);
  process.exitCode = 2;
} else {
  const rows = await measure(kubeconfig);
  process.stdout.write(values.json ? `${JSON.stringify({ goal, existing, rows }, undefined, 2)}\n` : toText(rows));
}

async function measure(path: string): Promise<readonly Row[]> {
  await using stack = new AsyncDisposableStack();
  const rules = [{ name: "all", clusters: ["east"], namespaces: ["bench-*"] }];
  const tenant = document("MeshTenant", "shop", { trustDomain: "shop.example", root: "main", rules });
  const site = stack.use(await openKubeSite(path, () => [tenant]));
  const agent = await site.startProcess("bench", stack.use(await buildImage()));
  await agent.daemon.event("leading");
  const ours = stack.use(await openSeen(site, site.rootConfigMap));
  const peer = stack.use(await openSeen(site, peerConfigMap));

  const made: string[] = [];
  stack.defer(async () => await each(made, async (name) => await remove(site, name)));
  const make = async (name: string): Promise<void> => {
    made.push(name);
    await site.cluster.namespace(name, { mesh: site.run });
  };
  const complete = async (names: readonly string[]): Promise<void> =>
    await until(
      "every namespace has both",
      () => names.every((name) => ours.at.has(name) && peer.at.has(name)),
      120_000,
    );
  const names = (of: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `bench-${site.run}-${of}-${n}`);

  const before = names("old", existing);
  await each(before, make);
  await complete(before);

  const rows: Row[] = [];
  for (const { what, batch } of [
    { what: "one after the other", batch: 1 },
    { what: `${atOnce} at a time`, batch: atOnce },
  ]) {
    const all = names(`new-${batch}`, measured);
    const begun = new Map<string, number>();
    for (let first = 0; first < all.length; first += batch) {
      const some = all.slice(first, first + batch);
      await Promise.all(
        some.map(async (name) => {
          begun.set(name, performance.now());
          await make(name);
        }),
      );
      await delay(pauseMs * batch);
    }
    await complete(all);
    const times = (seen: Seen): Times => toTimes(all.map((name) => (seen.at.get(name) ?? 0) - (begun.get(name) ?? 0)));
    rows.push(toRow(what, all.length, times(ours), times(peer)));
  }
  check(ours.informer, made, "root-cert.pem", site.site.servingRootsPem["east"] ?? "");
  check(peer.informer, made, "ca.crt", site.cluster.access.tls.ca ?? "");
  return rows;
}

interface Seen extends AsyncDisposable {
  readonly informer: Informer<ConfigMap, never>;
  /** When a watch first told of it, by namespace. */
  readonly at: ReadonlyMap<string, number>;
}

async function openSeen({ cluster }: KubeSite, name: string): Promise<Seen> {
  const selection = { resource: resources.configMaps, fieldSelector: `metadata.name=${name}` };
  const parts = { client: cluster.client, now: () => new Date(), log: silentLog };
  const informer = startInformer({ ...selection, read: readConfigMap, indexes: {} }, parts);
  const at = new Map<string, number>();
  informer.subscribe(({ kind, item }) => {
    if (kind === "added") at.set(item.namespace, performance.now());
  });
  await informer.synced;
  return { informer, at, [Symbol.asyncDispose]: informer.stop };
}

/** Every namespace has exactly what it should trust. */
function check(informer: Informer<ConfigMap, never>, names: readonly string[], key: string, wanted: string): void {
  const found = new Map(informer.list().map((item) => [item.namespace, item.data.get(key)]));
  assert.notEqual(wanted, "");
  for (const name of names) assert.equal(found.get(name)?.trim(), wanted.trim(), name);
}

async function each(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const left = [...names];
  const lane = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

async function remove({ cluster }: KubeSite, name: string): Promise<void> {
  await deleteObject(cluster.client, resources.namespaces, { name });
}

function toRow(what: string, namespaces: number, ours: Times, peer: Times): Row {
  const ratio = { p50: ours.p50Ms / peer.p50Ms, p99: ours.p99Ms / peer.p99Ms };
  return { what, namespaces, ours, peer, ratio };
}

function toTimes(values: readonly number[]): Times {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99), mostMs: at(1) };
}

function toText(rows: readonly Row[]): string {
  const head = [
    "ms until it is there",
    "p50",
    "p99",
    "most",
    "peer's p50",
    "p99",
    "most",
    "ratio p50",
    "p99",
    "namespaces",
  ];
  const lines = rows.map(({ what, namespaces, ours, peer, ratio }) => [
    what,
    ...[ours.p50Ms, ours.p99Ms, ours.mostMs, peer.p50Ms, peer.p99Ms, peer.mostMs].map((ms) => ms.toFixed(0)),
    ...[ratio.p50, ratio.p99].map((value) => value.toFixed(2)),
    String(namespaces),
  ]);
  const widths = head.map((_, n) => Math.max(...[head, ...lines].map((line) => line[n]?.length ?? 0)));
  const table = [head, ...lines].map((line) =>
    line.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join("  "),
  );
  const most = Math.max(...rows.map(({ ours }) => ours.p99Ms));
  return `${existing} namespaces before\n${table.join("\n")}\ngoal: p99 below ${goal.p99Ms} ms; this run: ${most.toFixed(0)} ms\n`;
}
