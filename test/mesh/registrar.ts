/**
 * istiod as RA (`EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API`), set up as docs/kubernetes-csr.md has it and with the rights of its own chart. It
 * authenticates workloads, makes a CertificateSigningRequest for each and approves it; the agent beside it has Espalier sign.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { applyObject } from "../../src/kube/apply.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import { createObject } from "../../src/kube/objects.ts";
import { type Resource, resources, toPath } from "../../src/kube/resource.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { kinds } from "../support/kube-rights.ts";
import { csrFor, openWorkload } from "../support/workload.ts";
import type { Rendered } from "./chart.ts";
import { type Istiod, installIstiod, startIstiod } from "./istio.ts";
import { rootsIn, tokenOf } from "./kubelet.ts";
import { type Cluster, registrar, registrarAccount, type Stage, spiffeId, type Workload, ztunnel } from "./stage.ts";

const issuer = "shop";
export const signerDomain = "tenantclusterissuers.espalier.dev";
const rootsOf = "shop-roots";

/** Over what `espalier istio values` prints. */
const values = {
  global: { caAddress: "", certSigners: [`${signerDomain}/${issuer}`] },
  pilot: {
    env: {
      ENABLE_CA_SERVER: "true",
      EXTERNAL_CA: "ISTIOD_RA_KUBERNETES_API",
      CERT_SIGNER_DOMAIN: signerDomain,
      K8S_SIGNER: `${signerDomain}/${issuer}`,
      PILOT_CA_CERT_CONFIGMAP: "istiod-ra-root-cert",
      PILOT_ENABLE_CA_CRL: "false",
    },
    volumes: [{ name: "external-ca-cert", configMap: { name: rootsOf } }],
    volumeMounts: [{ name: "external-ca-cert", mountPath: "/etc/external-ca-cert", readOnly: true }],
  },
};

/** `rootsPem` are those of the tenant's workloads. */
export async function startRegistrar(stage: Stage, rootsPem: string): Promise<Istiod> {
  const cluster = stage.clusters[registrar.cluster];
  const { client } = cluster.kube;
  const { namespace } = registrar;
  const spec = { tenant: registrar.tenant, namespaces: [namespace] };
  await createObject(
    client,
    resources.tenantClusterIssuers,
    {},
    {
      apiVersion: "espalier.dev/v1alpha1",
      kind: "TenantClusterIssuer",
      metadata: { name: issuer },
      spec,
    },
  );
  const configMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: rootsOf },
    data: { "root-cert.pem": rootsPem },
  };
  await createObject(client, resources.configMaps, { namespace }, configMap);
  const rendered = await installIstiod(stage, registrar, values);
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

/** Those that are there now: istiod takes its own away once it has read them, or given up. */
async function signingRequests({ kube }: Cluster): Promise<readonly JsonRecord[]> {
  const path = toPath(resources.certificateSigningRequests);
  return listAt(await kube.client.call({ verb: "GET", path }), "items").filter(isRecord);
}

/** What istiod does not look at: whom it has authenticated is none of the tenant's, and the signer is another tenant's. */
export async function judgeRegistrar(stage: Stage, istiod: Istiod): Promise<void> {
  const cluster = stage.clusters[registrar.cluster];
  const stranger: Workload = { ...ztunnel, cluster: registrar.cluster, trustDomain: "shop.example" };
  const token = await tokenOf(cluster, stranger);
  const tls = { rootsPem: await rootsIn(cluster, "shop"), serverName: istiod.servingName };
  using workload = openWorkload(istiod.xds, tls, cluster.name);
  const ask = async (CertSigner: string) =>
    await workload.ask({ token, csr: csrFor(spiffeId(stranger)), metadata: { CertSigner }, deadlineMs: 10_000 });
  // It waits for a certificate as long as it likes, and not for an end.
  const asked = ask(issuer);
  const failed = await istiod.await(async () => {
    const [request] = await signingRequests(cluster);
    assert.ok(request, "there is none");
    const found = readConditions(recordAt(request, "status")).get("Failed");
    assert.ok(found, "it has not failed");
    return found;
  });
  assert.equal(failed.reason, "Refused");
  assert.match(failed.message, /istio-system/);
  assert.notEqual((await asked).status, "OK");
  assert.notEqual((await ask("media")).status, "OK");
}

/** Whose certificates were asked for by CertificateSigningRequests, and whose word each rests on. */
export function signedFor({ site }: Stage): ReadonlySet<string> {
  using database = new DatabaseSync(site.databasePath, { readOnly: true });
  const select = "SELECT CAST(body AS TEXT) AS body FROM entries WHERE idempotency_key LIKE '%/csr/%'";
  const all = database.prepare(select).all();
  return new Set(
    all.map(({ body }) => {
      const { identity, proof }: Readonly<Record<string, unknown>> = JSON.parse(String(body));
      return `${String(identity)} by ${String(proof)}`;
    }),
  );
}
