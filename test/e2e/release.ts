/** The two charts as a test installs them, on any cluster. */
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { apply, kubectl, run } from "./cluster.ts";

export const image = process.env["ESPALIER_IMAGE"] ?? "";
export const hubName = "hub.example";
const chart = (name: string): string => fileURLToPath(new URL(`../../charts/${name}`, import.meta.url));

export interface Release {
  readonly name: string;
  readonly namespace: string;
  /** `key=value` each, as `--set` takes them. */
  readonly values?: readonly string[];
}

/** The arguments of `helm install`, `upgrade` and `template` after their verb. */
export function issuerRelease({ name, namespace, values = [] }: Release): readonly string[] {
  return release({ name, namespace, values: [`hub=${hubName}`, ...values] }, "espalier-issuer");
}

/** `hubRoot` is a file. */
export function agentRelease({ name, namespace, values = [] }: Release, hubRoot: string): readonly string[] {
  const all = { name, namespace, values: [`hub=${hubName}`, ...values] };
  return [...release(all, "espalier-agent"), "--set-file", `hubRoot=${hubRoot}`];
}

function release({ name, namespace, values = [] }: Release, of: string): readonly string[] {
  const [, repository = "", tag = ""] = /^(.*):([^:/]*)$/.exec(image) ?? [];
  const all = [...values, `image.repository=${repository}`, `image.tag=${tag}`, "resources.requests.cpu=10m"];
  return [name, chart(of), "-n", namespace, ...all.flatMap((value) => ["--set", value])];
}

export const waiting = ["--wait", "--timeout=400s"];

/** What `espalier` says in a hub's pod. */
export async function hubVerb(namespace: string, workload: string, ...verb: readonly string[]): Promise<string> {
  return await kubectl("-n", namespace, "exec", workload, "-c", "issuer", "--", "espalier", ...verb);
}

/** A tenant whose workloads are those of namespace shop, and this cluster as `cluster add` sees it. */
export async function documents(cluster: string): Promise<string> {
  const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
  const from = ["--from-kubeconfig", process.env["KUBECONFIG"] ?? ""];
  const { code, stdout, stderr } = await run("node", [main, "cluster", "add", cluster, ...from]);
  if (code !== 0) throw new Error(stderr);
  return `apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec:
  trustDomain: shop.example
  root: main
  rules: [{ name: workloads, clusters: [${cluster}], namespaces: [shop] }]
---
${stdout}`;
}

export interface Folder extends AsyncDisposable {
  put(name: string, text: string): Promise<string>;
}

export async function openFolder(): Promise<Folder> {
  const folder = await mkdtempDisposable(join(tmpdir(), "espalier-e2e-"));
  return {
    put: async (name, text) => {
      await writeFile(join(folder.path, name), text);
      return join(folder.path, name);
    },
    [Symbol.asyncDispose]: async () => await folder.remove(),
  };
}

/** A volume for a claim, where the cluster makes none by itself: a folder of its one node. */
export async function giveVolume(namespace: string, claim: string): Promise<void> {
  const directory = process.env["ESPALIER_E2E_VOLUME"];
  if (directory === undefined) return;
  const node = await kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}");
  const matchExpressions = [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }];
  const volume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: `${namespace}-${claim}` },
    spec: {
      capacity: { storage: "8Gi" },
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Retain",
      claimRef: { namespace, name: claim },
      local: { path: directory },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } },
    },
  };
  await apply(JSON.stringify(volume));
}
