/** The two charts as a test installs them, on any cluster. */
import assert from "node:assert/strict";
import { cp, mkdtempDisposable, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";
import { apply, kubectl, run } from "./cluster.ts";

export const image = process.env["ESPALIER_IMAGE"] ?? "";
export const hubName = "hub.example";
const chartOf = (name: string): string => fileURLToPath(new URL(`../../charts/${name}`, import.meta.url));

export interface Release {
  readonly name: string;
  readonly namespace: string;
  /** `key=value` each, as `--set` takes them. */
  readonly values?: readonly string[];
  /** Its folder. Default: the one that is checked in. */
  readonly chart?: string;
}

/** The arguments of `helm install`, `upgrade` and `template` after their verb. */
export function issuerRelease({
  values = [],
  chart = chartOf("espalier-issuer"),
  ...rest
}: Release): readonly string[] {
  return release({ ...rest, chart, values: [`hub=${hubName}`, ...values] });
}

/** `hubRoot` is a file. */
export function agentRelease({ values = [], ...rest }: Release, hubRoot: string): readonly string[] {
  const all = { ...rest, chart: chartOf("espalier-agent"), values: [`hub=${hubName}`, ...values] };
  return [...release(all), "--set-file", `hubRoot=${hubRoot}`];
}

function release({ name, namespace, values, chart }: Required<Release>): readonly string[] {
  const [, repository = "", tag = ""] = /^(.*):([^:/]*)$/.exec(image) ?? [];
  const all = [...values, `image.repository=${repository}`, `image.tag=${tag}`, "resources.requests.cpu=10m"];
  return [name, chart, "-n", namespace, ...all.flatMap((value) => ["--set", value])];
}

/** The hub's chart as an older version might have it: without MeshTenant's `spec.crl`, and without the column of its root. */
export async function layOlderChart(folder: Folder): Promise<string> {
  const laid = folder.at("older");
  await cp(chartOf("espalier-issuer"), laid, { recursive: true });
  const definitions = join(laid, "charts", "espalier-crds");
  await rm(definitions);
  await cp(chartOf("espalier-crds"), definitions, { recursive: true });
  const file = join(definitions, "templates", "meshtenants.yaml");
  const document = parseDocument(await readFile(file, "utf8"));
  const version = ["spec", "versions", 0];
  assert.equal(document.getIn([...version, "additionalPrinterColumns", 1, "name"]), "Root");
  assert.ok(document.deleteIn([...version, "additionalPrinterColumns", 1]));
  const spec = [...version, "schema", "openAPIV3Schema", "properties", "spec", "properties"];
  assert.ok(document.deleteIn([...spec, "crl"]));
  await writeFile(file, document.toString());
  return laid;
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
  at(name: string): string;
  put(name: string, text: string): Promise<string>;
}

export async function openFolder(): Promise<Folder> {
  const folder = await mkdtempDisposable(join(tmpdir(), "espalier-e2e-"));
  return {
    at: (name) => join(folder.path, name),
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
