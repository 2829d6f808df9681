/** The roots in every namespace, and what the agents themselves serve with. */
import { isSelected, wantedIn } from "../agent/decide-trust.ts";
import { type DistributeConfig, rootKey } from "../agent/distribution.ts";
import { toRoots, toTargets } from "../agent/planes.ts";
import { bundleVersions } from "../agent/trust-bundle.ts";
import { readClusterTrustBundle, readConfigMap, readNamespace } from "../kube/meta.ts";
import { resources } from "../kube/resource.ts";
import { readPemAll } from "../pki/pem.ts";
import { readLeaf } from "./istiod.ts";
import { fail, ok, skipped, some, type Verdict, warn, worst } from "./verdict.ts";
import { secretText, type View } from "./view.ts";

const waitThenLook = "wait a moment; then look into the leading agent's log for `trust not put in force`";

export async function roots(view: View): Promise<Verdict> {
  const { kubernetes } = await view.site();
  if ((await view.trust()) === undefined) return skipped("the agents have no trust yet");
  const verdicts = toTargets(kubernetes).map(async (target) => await rootsOf(view, target));
  return worst(await Promise.all(verdicts), "no ConfigMap");
}

async function rootsOf(view: View, target: DistributeConfig): Promise<Verdict> {
  const { configMap: name, istiodNamespaces } = target;
  const trust = await view.trust();
  if (trust === undefined) return skipped("the agents have no trust yet");
  const namespaces = (await view.list({ resource: resources.namespaces })).map(readNamespace);
  const found = (await view.list({ resource: resources.configMaps, fieldSelector: `metadata.name=${name}` })).map(
    readConfigMap,
  );
  const state = { ...toRoots(trust), istiodNamespaces };
  const written = new Map(found.map((one) => [one.namespace, one.data.get(rootKey)]));
  const selected = namespaces.filter((one) => isSelected(one, target)).map((one) => one.name);
  const wrong = selected.filter((one) => written.get(one) !== wantedIn(one, state));
  const missing = wrong.filter((one) => written.get(one) === undefined);
  const foreign = wrong.filter((one) => isForeign(written.get(one), wantedIn(one, state)));
  const of = `of ${selected.length} namespaces`;
  if (missing.length > 0) {
    return fail(
      `${name} is missing in ${missing.length} ${of} (${some(missing)}): pods do not start there`,
      "the leading agent writes it: see its log, and the Events of those namespaces for who refuses it (quota, webhook)",
    );
  }
  if (foreign.length > 0) {
    return fail(
      `${name} has somebody else's roots in ${foreign.length} ${of} (${some(foreign)})`,
      `find who writes it: kubectl -n ${foreign[0]} get configmap ${name} -o yaml --show-managed-fields`,
    );
  }
  if (wrong.length > 0) {
    return warn(`${name} has roots of an earlier time in ${wrong.length} ${of} (${some(wrong)})`, waitThenLook);
  }
  return ok(`${name} is in ${selected.length} namespaces, as version ${trust.version} has it`);
}

/** The same roots once more, where they are wanted so. */
export async function trustBundle(view: View): Promise<Verdict> {
  const { kubernetes } = await view.site();
  const { clusterTrustBundle: name } = kubernetes;
  if (name === undefined) return ok("no ClusterTrustBundle is wanted");
  const trust = await view.trust();
  if (trust === undefined) return skipped("the agents have no trust yet");
  for (const version of bundleVersions) {
    const found = await view.get({ ...resources.clusterTrustBundles, version }, { name });
    if (found === undefined) continue;
    const written = readClusterTrustBundle(found).trustBundle;
    const wanted = toRoots(trust).rootsPem;
    if (written === wanted) return ok(`${name} is as version ${trust.version} has it`);
    if (!isForeign(written, wanted)) return warn(`${name} has roots of an earlier time`, waitThenLook);
    const who = `find who writes it: kubectl get clustertrustbundle ${name} -o yaml --show-managed-fields`;
    return fail(`${name} has somebody else's roots`, who);
  }
  return fail(
    `there is no ClusterTrustBundle ${name}: pods that mount it do not start`,
    "kubectl api-resources --api-group=certificates.k8s.io must list them (the API server's feature gate); then the leading agent makes it",
  );
}

/** Not one root that is ours now. */
function isForeign(written: string | undefined, wanted: string): boolean {
  if (written === undefined) return false;
  try {
    const ours = new Set(readPemAll(wanted).map((der) => Buffer.from(der).toString("base64")));
    return !readPemAll(written).some((der) => ours.has(Buffer.from(der).toString("base64")));
  } catch {
    return true;
  }
}

/** What the agents serve with, as they keep it; undefined where they have none. Only its public part is looked at. */
export async function servingLeaf(view: View): Promise<ReturnType<typeof readLeaf>> {
  const { kubernetes } = await view.site();
  const { namespace, name } = kubernetes;
  const text = secretText(await view.get(resources.secrets, { namespace, name: `${name}-state` }), "serving.pem");
  return readLeaf(text?.slice(text.indexOf("-----BEGIN CERTIFICATE-----")));
}

export async function serving(view: View): Promise<Verdict> {
  const { config } = await view.site();
  const leaf = await servingLeaf(view);
  if (leaf === undefined) {
    return fail(
      "the agents have no serving certificate",
      `at the hub: espalier root create --serving ${config.cluster} --reason …`,
    );
  }
  if (leaf.validToDate < view.now()) {
    return fail(
      `the agents' serving certificate expired at ${leaf.validToDate.toISOString()}`,
      "see why it is not renewed in their log",
    );
  }
  return ok(`${leaf.subjectAltName ?? ""}, until ${leaf.validToDate.toISOString()}`);
}
