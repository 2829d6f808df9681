/**
 * istiod as RA (`EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API`), set up as docs/kubernetes-csr.md has it and with the rights of its own chart. It
 * authenticates workloads, makes a CertificateSigningRequest for each and approves it; the agent beside it has Espalier sign.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { parse } from "yaml";
import { applyObject } from "../../src/kube/apply.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import { createObject } from "../../src/kube/objects.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";
import { blocksOf } from "../repo/sources.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { kinds } from "../support/kube-rights.ts";
import { csrFor, openWorkload } from "../support/workload.ts";
import type { Rendered } from "./chart.ts";
import { type Istiod, installIstiod, startIstiod } from "./istio.ts";
import { rootsIn, tokenOf } from "./kubelet.ts";
import { type Cluster, registrar, registrarAccount, type Stage, spiffeId, type Workload, ztunnel } from "./stage.ts";

const issuer = "shop";
/** Another tenant's, which this istiod may approve as well: nothing but the hub stands between them. */
const otherIssuer = "media";
const signerDomain = "tenantclusterissuers.espalier.dev";
const rootsOf = "shop-roots";
const page = "docs/kubernetes-csr.md";

/** Over what `espalier istio values` prints: what the page has, and the other signer. */
function values(): object {
  const [text = ""] = blocksOf(page).filter((block) => block.startsWith("# ra.yaml"));
  const { global, ...shown }: { readonly global: { readonly certSigners: readonly string[] } } = parse(text);
  assert.deepEqual(global.certSigners, [toSigner(issuer)]);
  return { ...shown, global: { ...global, certSigners: [...global.certSigners, toSigner(otherIssuer)] } };
}

function toSigner(name: string): string {
  return `${signerDomain}/${name}`;
}

/** `rootsPem` are those of the tenant's workloads. */
export async function startRegistrar(stage: Stage, rootsPem: string): Promise<Istiod> {
  const cluster = stage.clusters[registrar.cluster];
  const { client } = cluster.kube;
  const { namespace } = registrar;
  for (const tenant of [issuer, otherIssuer]) {
    const spec = { tenant, namespaces: [namespace] };
    const body = { apiVersion: "espalier.dev/v1alpha1", kind: "TenantClusterIssuer", metadata: { name: tenant }, spec };
    await createObject(client, resources.tenantClusterIssuers, {}, body);
  }
  const configMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: rootsOf },
    data: { "root-cert.pem": rootsPem },
  };
  await createObject(client, resources.configMaps, { namespace }, configMap);
  const rendered = await installIstiod(stage, registrar, values());
  await giveRights(cluster, rendered);
  const { access, issuer: audience } = cluster.kube;
  const { cert: _, key: __, ...tls } = access.tls;
  const token = await cluster.kube.token(registrarAccount.namespace, registrarAccount.name, { audience });
  const kubeconfig = writeKubeconfig(stage.folder("registrar"), { ...access, tls, token });
  return await startIstiod(stage, registrar, rendered, { name: "registrar", kubeconfig });
}

const rightKinds: readonly Resource[] = [resources.serviceAccounts, ...Object.values(kinds)];

async function giveRights({ kube }: Cluster, { rights }: Rendered): Promise<void> {
  for (const object of rights) {
    const resource = rightKinds.find(({ kind }) => kind === object["kind"]);
    assert.ok(resource, String(object["kind"]));
    const { apiVersion: _, kind: __, metadata, ...content } = object;
    const name = someTextAt(recordAt({ metadata }, "metadata"), "name");
    const namespace = textAt(recordAt({ metadata }, "metadata"), "namespace");
    const one = resource.namespaced ? { namespace: namespace ?? registrar.namespace, name } : { name };
    await applyObject(kube.client, resource, one, content, { force: true, fieldManager: "helm" });
  }
}

/** The one that istiod has made for a signer: it takes its own away once it has read them, or given up. */
async function requestFor({ kube }: Cluster, signerName: string): Promise<JsonRecord> {
  const path = toPath(resources.certificateSigningRequests);
  const all = listAt(await kube.client.call({ verb: "GET", path }), "items").filter(isRecord);
  const found = all.find((one) => recordAt(one, "spec")["signerName"] === signerName);
  assert.ok(found, `there is none for ${signerName}`);
  return found;
}

/** What istiod does not look at: whom it has authenticated is none of the tenant's, or the signer is another tenant's. */
export async function judgeRegistrar(stage: Stage, istiod: Istiod, known: Workload): Promise<void> {
  const cluster = stage.clusters[registrar.cluster];
  const stranger: Workload = { ...ztunnel, cluster: registrar.cluster, trustDomain: known.trustDomain };
  const tls = { rootsPem: await rootsIn(cluster, "shop"), serverName: istiod.servingName };
  const refuses = async (who: Workload, CertSigner: string, says: RegExp): Promise<void> => {
    using workload = openWorkload(istiod.xds, tls, cluster.name);
    const token = await tokenOf(cluster, who);
    // It waits for a certificate as long as it likes, and not for an end.
    const asked = workload.ask({ token, csr: csrFor(spiffeId(who)), metadata: { CertSigner }, deadlineMs: 10_000 });
    const status = await istiod.await(async () => {
      const found = recordAt(await requestFor(cluster, toSigner(CertSigner)), "status");
      assert.ok(readConditions(found).has("Failed"), "it has not failed");
      return found;
    });
    const conditions = readConditions(status);
    assert.equal(conditions.get("Approved")?.status, "True");
    assert.equal(conditions.get("Failed")?.reason, "Refused");
    assert.match(conditions.get("Failed")?.message ?? "", says);
    assert.equal(status["certificate"], undefined);
    assert.notEqual((await asked).status, "OK");
  };
  await Promise.all([
    refuses(stranger, issuer, /istio-system.*no-rule/),
    refuses(known, otherIssuer, /not an identity of MeshTenant "media".*signer-denied/),
  ]);
}

/** Whose certificates were asked for by CertificateSigningRequests, of which tenant, and whose word each rests on. */
export function signedFor({ site }: Stage): ReadonlySet<string> {
  using database = new DatabaseSync(site.databasePath, { readOnly: true });
  const select = "SELECT log, CAST(body AS TEXT) AS body FROM entries WHERE idempotency_key LIKE '%/csr/%'";
  const all = database.prepare(select).all();
  return new Set(
    all.map(({ log, body }) => {
      const { identity, proof }: Readonly<Record<string, unknown>> = JSON.parse(String(body));
      return `${String(log)}: ${String(identity)} by ${String(proof)}`;
    }),
  );
}
