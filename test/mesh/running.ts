/**
 * Running pods of a mesh whose CA was istiod's come to Espalier without a restart of theirs: istiod is started again as an RA, under the
 * address that they have, and asks Espalier for what they ask of it. pilot-agents are the pods. test/mesh/run says what the environment needs.
 */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { applyObject } from "../../src/kube/apply.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { recordAt } from "../../src/kube/json.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { createObject, deleteObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { espalier, type Said } from "../ctl/stage.ts";
import { shakeHands } from "../demo/handshake.ts";
import { document, toYaml } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { applyCrds } from "../support/kube-crds.ts";
import { kinds } from "../support/kube-rights.ts";
import { type KubeSite, openKubeSite } from "../support/kube-site.ts";
import { eventually } from "../support/patience.ts";
import { freePort } from "../support/processes.ts";
import { holdConnection } from "./ends.ts";
import { layFormer, podOf, startFormer } from "./former.ts";
import { type Program, startProgram } from "./program.ts";

const { ESPALIER_PILOT_AGENT: pilotAgent = "", KUBECONFIG_EAST: kubeconfig = "" } = process.env;

/** What pilot-agent expects of an address that is loopback's. */
const localName = "istiod.istio-system.svc";
const signerDomain = "tenantclusterissuers.espalier.dev";

interface Pod extends Program {
  /** A folder with a copy of what it has now, which the next call replaces. */
  certificate(): Promise<string>;
}

/** It renews after three seconds, all its life by the one address that it was given. */
async function startPod(
  { cluster, site }: KubeSite,
  { namespace, account, address }: { namespace: string; account: string; address: string },
): Promise<Pod> {
  const directory = join(site.directory, account);
  const put = (folder: string, file: string, text: string): void => {
    mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, folder, file), text);
  };
  put("var/run/secrets/istio", "root-cert.pem", await rootsIn(cluster, namespace));
  const token = await cluster.token(namespace, account, { pod: podOf(account) });
  put("var/run/secrets/tokens", "istio-token", token);
  for (const folder of ["certs", "copy"]) mkdirSync(join(directory, folder));
  const program = startProgram({
    name: account,
    file: pilotAgent,
    directory,
    args: ["proxy"],
    env: {
      DISABLE_ENVOY: "true",
      CA_ADDR: address,
      OUTPUT_CERTS: join(directory, "certs"),
      GRPC_XDS_BOOTSTRAP: "",
      PROXY_CONFIG: `{"statusPort":${await freePort()}}`,
      TRUST_DOMAIN: "cluster.local",
      POD_NAMESPACE: namespace,
      POD_NAME: podOf(account),
      SERVICE_ACCOUNT: account,
      ISTIO_META_CLUSTER_ID: "Kubernetes",
      SECRET_TTL: "10m",
      SECRET_GRACE_PERIOD_RATIO: "0.995",
      SECRET_GRACE_PERIOD_RATIO_JITTER: "0",
    },
  });
  return {
    ...program,
    certificate: async () =>
      await program.await(() => {
        const copy = join(directory, "copy");
        for (const file of ["cert-chain.pem", "key.pem", "root-cert.pem"])
          copyFileSync(join(directory, "certs", file), join(copy, file));
        const [chain, key] = ["cert-chain.pem", "key.pem"].map((file) => readFileSync(join(copy, file), "utf8"));
        assert.ok(new X509Certificate(chain ?? "").checkPrivateKey(createPrivateKey(key ?? "")), "it is being written");
        return copy;
      }),
  };
}

async function rootsIn({ client }: KubeSite["cluster"], namespace: string): Promise<string> {
  return await eventually(async () => {
    const found = await getObject(client, resources.configMaps, { namespace, name: "istio-ca-root-cert" });
    return readConfigMap(found).data.get("root-cert.pem") ?? assert.fail("no roots");
  });
}

async function serialOf(pod: Pod): Promise<string> {
  return new X509Certificate(readFileSync(join(await pod.certificate(), "cert-chain.pem"))).serialNumber;
}

/** Both ways, with what each has now. */
async function assertTalk(one: Pod, other: Pod): Promise<void> {
  const [here, there] = [await one.certificate(), await other.certificate()];
  for (const [client, server] of [
    [here, there],
    [there, here],
  ] as const)
    assert.equal((await shakeHands(client, server)).error, undefined);
}

type Say = (...argv: readonly string[]) => Promise<string>;

/** Step 1 of docs/moving-from-istio.md; returns the roots of the tenant, which takes istiod's word for its namespace. */
async function takeOver({ site }: KubeSite, namespace: string, say: Say): Promise<string> {
  const proofs = ["token", `requester:${namespace}/istiod`];
  const rules = [{ name: "all", clusters: ["east"], namespaces: [namespace], proofs }];
  const documents = [
    document("TrustRoot", "mesh", { source: "brought" }),
    document("MeshTenant", "moved", { trustDomain: "cluster.local", root: "mesh", rules }),
  ];
  writeFileSync(join(site.config.resources, "moved.yaml"), toYaml(documents));
  const from = ["--from-kubeconfig", kubeconfig, "--secret", `${namespace}/istio-ca-secret`];
  // Once the issuer has read the documents.
  await eventually(async () => await say("root", "import", "mesh", ...from, "--reason", "moving over"));
  return await say("tenant", "bundle", "moved");
}

/** The account of istiod, which makes and approves requests, and the signer that answers them. */
async function startSigner(site: KubeSite, namespace: string, name: string): Promise<AsyncDisposable> {
  const { client } = site.cluster;
  await using stack = new AsyncDisposableStack();
  await applyCrds(client, "agent");
  await site.startAgent("signer", { signingRequests: true });
  const issuer = { apiVersion: "espalier.dev/v1alpha1", kind: "TenantClusterIssuer", metadata: { name } };
  const spec = { tenant: "moved", namespaces: [namespace] };
  await createObject(client, resources.tenantClusterIssuers, {}, { ...issuer, spec });
  stack.defer(async () => await deleteObject(client, resources.tenantClusterIssuers, { name }));
  await eventually(async () => {
    const status = recordAt(await getObject(client, resources.tenantClusterIssuers, { name }), "status");
    assert.equal(readConditions(status).get("Ready")?.status, "True");
  });
  await site.cluster.account(namespace, "istiod");
  const subjects = [{ kind: "ServiceAccount", name: "istiod", namespace }];
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" };
  await applyObject(client, kinds.clusterRoleBindings, { name }, { subjects, roleRef });
  stack.defer(async () => await deleteObject(client, kinds.clusterRoleBindings, { name }));
  const made = stack.move();
  return { [Symbol.asyncDispose]: async () => await made.disposeAsync() };
}

const title = "running pods are Espalier's once istiod is an RA: no process of theirs ends, and no connection";
test(title, { timeout: 400_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const requester = (named: (name: string) => string) => ({ requesters: [{ account: `${named("former")}/istiod` }] });
  const site = stack.use(await openKubeSite(kubeconfig, () => [], requester));
  const [namespace, signer] = [`former-${site.run}`, `moved-${site.run}`];
  stack.use(await layFormer(site.cluster, namespace, ["cart", "till"]));
  const directory = join(site.site.directory, "istiod");
  mkdirSync(join(directory, "etc/external-ca-cert"), { recursive: true });
  const where = { namespace, directory, port: await freePort() };
  const env = { ISTIOD_CUSTOM_HOST: localName };
  const former = stack.use(await startFormer({ ...where, env }));
  const startOne = async (account: string): Promise<Pod> =>
    stack.use(await startPod(site, { namespace, account, address: former.address }));
  const [cart, till] = [await startOne("cart"), await startOne("till")];
  const held = stack.use(await holdConnection(await cart.certificate(), await till.certificate()));
  const roots = await rootsIn(site.cluster, namespace);

  const show = async (serial: string): Promise<Said> =>
    await espalier(["ledger", "show", serial], site.site.config.adminSocket);
  const say: Say = async (...argv) => {
    const { code, stdout, stderr } = await espalier(argv, site.site.config.adminSocket);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  writeFileSync(join(directory, "etc/external-ca-cert/root-cert.pem"), await takeOver(site, namespace, say));
  stack.use(await startSigner(site, namespace, signer));
  for (const pod of [cart, till]) assert.match((await show(await serialOf(pod))).stderr, /no entry/);
  await assertTalk(cart, till);

  // One renews after the other, so that those of both CAs meet.
  cart.pause();
  await former[Symbol.asyncDispose]();
  await assertTalk(cart, till);
  const registrar = {
    EXTERNAL_CA: "ISTIOD_RA_KUBERNETES_API",
    CERT_SIGNER_DOMAIN: signerDomain,
    K8S_SIGNER: `${signerDomain}/${signer}`,
  };
  const itself = writeKubeconfig(directory, await site.cluster.accessOf(namespace, "istiod"));
  stack.use(await startFormer({ ...where, env: { ...env, ...registrar }, kubeconfig: itself }));
  const moved = async (pod: Pod, from = ""): Promise<string> =>
    await pod.await(async () => {
      const serial = await serialOf(pod);
      assert.notEqual(serial, from);
      await say("ledger", "show", serial);
      return serial;
    });
  await moved(till);
  await assertTalk(cart, till);
  cart.resume();
  const first = await moved(cart);
  await moved(cart, first);
  await assertTalk(cart, till);
  assert.equal(await held.say("still there"), "still there");
  assert.equal(await rootsIn(site.cluster, namespace), roots);
});
