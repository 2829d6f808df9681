/** istiod itself: whether it has stopped signing, and what it serves with. */
import { X509Certificate } from "node:crypto";
import { toIstiodSecrets } from "../agent/planes.ts";
import { isRecord, listAt, recordAt, someTextAt, textAt } from "../kube/json.ts";
import { resources } from "../kube/resource.ts";
import { readPemAll } from "../pki/pem.ts";
import { readinessIfSeen } from "./agent.ts";
import { type Istiod, istiods } from "./istiods.ts";
import { fail, ok, skipped, some, type Verdict, warn, worst } from "./verdict.ts";
import { secretText, type View } from "./view.ts";

const noIstiod = "there is no istiod yet";

/** With its CA on it writes its own root over ours, and gives out certificates that nobody else trusts. */
export async function signing(view: View): Promise<Verdict> {
  const { config } = await view.site();
  const all = await istiods(view);
  if (all.length === 0) return skipped(noIstiod);
  const on = all.filter(({ environment }) => !isFalse(environment.get("ENABLE_CA_SERVER")));
  const fix = `helm upgrade it with the values of: espalier istio values --cluster ${config.cluster} (pilot.env.ENABLE_CA_SERVER="false")`;
  if (on.length > 0) return fail(`${some(on.map(toName))} has its own CA on, and writes its own root over ours`, fix);
  const fighting = (await readinessIfSeen(view))?.find(({ waitingFor }) =>
    waitingFor.includes("istiod to stop signing"),
  );
  if (fighting !== undefined) {
    return fail(
      `an istiod with its CA on has written its own root (${fighting.waitingFor})`,
      "kubectl rollout status of istiod, and look for another one in the cluster; the agent tries again within 10 minutes",
    );
  }
  return ok(`${some(all.map(toName))}: its own CA is off`);
}

/** As Go reads a boolean. */
function isFalse(text: string | undefined): boolean {
  return ["0", "f", "F", "false", "False", "FALSE"].includes(text ?? "");
}

/** What istiod mounts: whole, ours, in time, and with every istiod's name. */
export async function certificate(view: View): Promise<Verdict> {
  const { config, kubernetes } = await view.site();
  const secrets = toIstiodSecrets(kubernetes);
  const trust = await view.trust();
  if (trust === undefined) return skipped("the agents have no trust yet");
  const all = await istiods(view);
  const verdicts = secrets.map(async (one) => {
    const where = `${one.namespace}/${one.name}`;
    const remake = `the agents make it anew: kubectl -n ${kubernetes.namespace} rollout restart deployment/${kubernetes.name}`;
    const found = await view.get(resources.secrets, one);
    if (found === undefined) {
      return fail(
        `there is no Secret ${where}: istiod does not serve port 15012 without it`,
        `the leading agent makes it: kubectl -n ${kubernetes.namespace} logs -l app.kubernetes.io/instance=${kubernetes.name} | grep ${one.name}`,
      );
    }
    const leaf = readLeaf(secretText(found, "tls.crt"));
    if (leaf === undefined) return fail(`the Secret ${where} holds no certificate`, remake);
    if (!isUnder(leaf, trust.servingRootsPem)) {
      return fail(`the certificate in ${where} is not ours: it is not under this cluster's serving root`, remake);
    }
    if (leaf.validToDate < view.now()) return fail(`the certificate in ${where} has expired`, remake);
    const names = all.filter(({ namespace }) => namespace === one.namespace).map((i) => `${i.name}.${i.namespace}.svc`);
    const lacking = names.filter((name) => leaf.checkHost(name, { wildcards: false }) === undefined);
    if (lacking.length > 0) {
      return fail(
        `the certificate in ${where} lacks ${some(lacking)}: proxies do not take that istiod for one`,
        `at the hub: add it to servingNames of MeshCluster "${config.cluster}"`,
      );
    }
    if (secretText(found, "ca.crt") !== trust.servingRootsPem) {
      return warn(`ca.crt in ${where} has roots of an earlier time`, remake);
    }
    return ok(`${where} is ours, until ${leaf.validToDate.toISOString()}`);
  });
  return worst(await Promise.all(verdicts), "the agents keep no certificate for istiod (istiodSecret is empty)");
}

/** istiod reads its certificate when it starts; one that started without it does not serve 15012 until it is restarted. */
export async function port(view: View): Promise<Verdict> {
  const { kubernetes } = await view.site();
  const secrets = new Map(toIstiodSecrets(kubernetes).map((one) => [one.namespace, one]));
  const verdicts = (await istiods(view)).map(async (istiod) => {
    const { namespace, name } = istiod;
    const secret = secrets.get(namespace);
    const found = secret && (await view.get(resources.secrets, secret));
    const created = textAt(recordAt(found, "metadata"), "creationTimestamp");
    if (created === undefined) return skipped(`${toName(istiod)} has no certificate of ours to serve with`);
    const pods = await startsOf(view, istiod);
    if (pods.length === 0) {
      return fail(`no pod of ${toName(istiod)} runs`, `kubectl -n ${namespace} describe pods -l app=istiod`);
    }
    const restart = `kubectl -n ${namespace} rollout restart deployment/${name}`;
    const closed = await Promise.all(pods.map(async (pod) => await isClosed(view, namespace, pod, new Date(created))));
    if (closed.includes(true)) {
      return fail(
        `${toName(istiod)} does not serve port 15012: it started before there was a certificate for it`,
        restart,
      );
    }
    return (await answers(view, istiod)) ?? ok(`${toName(istiod)} started with its certificate`);
  });
  return worst(await Promise.all(verdicts), noIstiod);
}

interface Started {
  readonly pod: string;
  readonly at: Date;
}

/** As the API server sees its port; where it cannot, by which was there first. */
async function isClosed(view: View, namespace: string, { pod, at }: Started, created: Date): Promise<boolean> {
  const open = view.inCluster ? undefined : await view.isOpen(namespace, pod, 15012);
  return open === undefined ? at < created : !open;
}

/** What is wrong at its port, where it can be reached at all: undefined if nothing is seen. */
async function answers(view: View, { namespace, name }: Istiod): Promise<Verdict | undefined> {
  const trust = await view.trust();
  if (!view.inCluster || trust === undefined) return undefined;
  const serverName = `${name}.${namespace}.svc`;
  const at = `${serverName}:15012`;
  const dialled = await view.dial(at, { rootsPem: trust.servingRootsPem, serverName });
  if (dialled.kind === "answers") return undefined;
  const restart = `kubectl -n ${namespace} rollout restart deployment/${name}`;
  return dialled.kind === "unreachable"
    ? fail(`nobody answers at ${at} (${dialled.why})`, restart)
    : fail(`what answers at ${at} is not under this cluster's serving root (${dialled.why})`, restart);
}

async function startsOf(view: View, { namespace, revision }: Istiod): Promise<readonly Started[]> {
  const labelSelector = `app=istiod,istio.io/rev=${revision}`;
  const pods = await view.list({ resource: resources.pods, namespace, labelSelector });
  return pods.flatMap((pod) => {
    const name = someTextAt(recordAt(pod, "metadata"), "name");
    const containers = listAt(recordAt(pod, "status"), "containerStatuses").filter(isRecord);
    return containers.flatMap((one) => {
      const at = textAt(recordAt(recordAt(one, "state"), "running"), "startedAt");
      return at === undefined ? [] : [{ pod: name, at: new Date(at) }];
    });
  });
}

export function readLeaf(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function isUnder(leaf: X509Certificate, rootsPem: string): boolean {
  return readPemAll(rootsPem).some((root) => leaf.verify(new X509Certificate(root).publicKey));
}

function toName({ namespace, name }: Istiod): string {
  return `${name} in ${namespace}`;
}
