/**
 * What 10,000 pods in 1,000 namespaces cost an agent that watches them: `node test/kube/memory.ts`. The API server is in a process
 * of its own; the pods are of the size that a mesh's are, with managedFields, a sidecar and status.
 */
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { readNamespace, readPod, readServiceAccount } from "../../src/kube/meta.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { startMemoryApi } from "../support/kube-memory.ts";
import { toPod } from "../support/kube-pods.ts";

const [pods, namespaces] = [10_000, 1_000];
/** Objects in one page of a list, to see what it changes. */
const page = process.argv[3] === undefined ? {} : { pageMax: Number(process.argv[3]) };

if (process.argv[2] === "server") await serve();
else await measure();

async function serve(): Promise<void> {
  const api = await startMemoryApi({ bookmarkMs: 5_000 });
  for (let index = 0; index < namespaces; index += 1) {
    const name = `team-${index}`;
    api.store.write("v1/namespaces", name, { metadata: { name, labels: { "istio-injection": "enabled" } } }, new Map());
    const account = { metadata: { name: "web", namespace: name }, secrets: [] };
    api.store.write("v1/serviceaccounts", `${name}/web`, account, new Map());
  }
  for (let index = 0; index < pods; index += 1) {
    const namespace = `team-${index % namespaces}`;
    const name = `web-7d9f8b6c5-${index}`;
    api.store.write("v1/pods", `${namespace}/${name}`, toLivingPod(name, namespace, index), new Map());
  }
  process.send?.({ server: api.access.server.href, ca: api.access.tls.ca });
}

/** With what an API server, a kubelet and others have added. */
function toLivingPod(name: string, namespace: string, index: number) {
  const field = (n: number) => [`f:field-${n}`, { ".": {}, "f:name": {}, "f:value": {} }];
  const managedFields = ["kubelet", "kube-controller-manager", "istio"].map((manager) => ({
    manager,
    operation: "Update",
    fieldsV1: Object.fromEntries(Array.from({ length: 20 }, (_, n) => field(n))),
  }));
  const pod = toPod(name, namespace, `node-${index % 300}`);
  return {
    ...pod,
    metadata: { ...pod.metadata, managedFields },
    status: {
      phase: "Running",
      podIP: "10.1.2.3",
      containerStatuses: [{ containerID: randomUUID() }, { containerID: randomUUID() }],
    },
  };
}

async function measure(): Promise<void> {
  const child = fork(import.meta.filename, ["server"]);
  const { server, ca } = await new Promise<{ server: string; ca: string }>((resolve) => child.once("message", resolve));
  const before = await settled();
  const begun = performance.now();
  using client = openClient({ credentials: fixedCredentials({ server: new URL(server), tls: { ca } }) });
  const parts = { client, now: () => new Date(), log: silentLog };
  const indexes = { uid: ({ uid }: { readonly uid: string }) => [uid] };
  const informers = [
    startInformer({ resource: resources.pods, read: readPod, indexes, ...page }, parts),
    startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {}, ...page }, parts),
    startInformer({ resource: resources.serviceAccounts, read: readServiceAccount, indexes, ...page }, parts),
  ] as const;
  await Promise.all(informers.map(({ synced }) => synced));
  const ms = Math.round(performance.now() - begun);
  const listed = toMb(process.memoryUsage().rss);
  const after = await settled();
  const counts = informers.map((informer) => informer.list().length);
  console.log({ counts, ms, before, justListed: listed, after });
  for (const informer of informers) await informer.stop();
  child.kill();
}

/** After a few collections, as an idle process has them sooner or later; without --expose-gc as it is. */
async function settled(): Promise<{ readonly rss: number; readonly heap: number }> {
  for (let times = 0; times < 5; times += 1) {
    globalThis.gc?.();
    await delay(100);
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss: toMb(rss), heap: toMb(heapUsed) };
}

function toMb(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}
