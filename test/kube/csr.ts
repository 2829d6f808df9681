/**
 * CertificateSigningRequests on a real API server: `KUBECONFIG=… node --test test/kube/csr.ts`, with the rights of an administrator. The
 * agents are processes with the rights of their chart and no others; who asks are ServiceAccounts that may make such requests.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { rightsOf } from "../../src/agent/rights.ts";
import { ApiError } from "../../src/kube/api-error.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { createObject, deleteObject, getObject, mergeObject, type One } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { toPem } from "../../src/pki/pem.ts";
import { espalier } from "../ctl/stage.ts";
import { manifestsOf } from "../repo/sources.ts";
import { type Document, document, hubName } from "../support/documents.ts";
import { kubeconfigOf, writeKubeconfig } from "../support/kube-cluster.ts";
import { applyCrds } from "../support/kube-crds.ts";
import { eventsOf } from "../support/kube-events.ts";
import { grantRights, kinds } from "../support/kube-rights.ts";
import { type AgentProcess, type KubeSite, openKubeSite } from "../support/kube-site.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";
import { eventually } from "../support/patience.ts";
import { openThief } from "../support/thief.ts";

const resource = resources.certificateSigningRequests;
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const stack = new AsyncDisposableStack();
let site: KubeSite;
let agent: AgentProcess;
/** Of tenant `shop`, of tenant `media`, and of nobody. */
let names: Readonly<Record<"shop" | "till" | "media" | "nobody", string>>;
/** Each as its account `cart`. */
let carts: Readonly<Record<keyof typeof names, Client>>;
let signer: string;
let ownSigner: string;
let kubeconfig: string;

before(async () => {
  site = stack.use(await openKubeSite(kubeconfigOf(process.env), tenants));
  const { cluster, run, system } = site;
  await applyCrds(cluster.client, "agent");
  names = {
    shop: await site.namespace("shop"),
    till: await site.namespace("till"),
    media: await site.namespace("media"),
    nobody: await site.namespace("nobody"),
  };
  const group = "certificates.k8s.io";
  const making = [{ verb: "create", group, resource: "certificatesigningrequests" }];
  const openCart = async (namespace: string): Promise<Client> => {
    await cluster.account(namespace, "cart");
    const cart = { namespace, name: "cart" };
    stack.use(await grantRights(cluster.client, `csr-${namespace}`, cart, making));
    return await openAs(namespace, "cart");
  };
  carts = {
    shop: await openCart(names.shop),
    till: await openCart(names.till),
    media: await openCart(names.media),
    nobody: await openCart(names.nobody),
  };
  await makeIssuer("TenantClusterIssuer", `shop-${run}`, { tenant: "shop", namespaces: [names.shop, names.nobody] });
  await makeIssuer("TenantIssuer", "own", { tenant: "shop" }, names.shop);
  await makeIssuer("TenantIssuer", "theirs", { tenant: "media" }, names.shop);
  signer = `tenantclusterissuers.espalier.dev/shop-${run}`;
  ownSigner = `tenantissuers.espalier.dev/${names.shop}.own`;

  const kubernetes = agentSchema.shape.kubernetes.parse({
    namespace: system,
    rootConfigMap: site.rootConfigMap,
    istiodNamespace: site.istio,
    signingRequests: true,
  });
  assert.ok(kubernetes);
  const account = { namespace: system, name: "espalier-agent" };
  stack.use(await grantRights(cluster.client, `csr-agent-${run}`, account, rightsOf(kubernetes)));
  const folder = join(site.site.directory, "csr-access");
  mkdirSync(folder);
  kubeconfig = writeKubeconfig(folder, await cluster.accessOf(system, "espalier-agent"));
  agent = await startAgent("csr");
  await agent.daemon.event("serving CertificateSigningRequests");
  await agent.ready();
  // What explain has of the issuers is what they say of themselves.
  await isReady(resources.tenantClusterIssuers, { name: `shop-${run}` });
  for (const name of ["own", "theirs"]) await isReady(resources.tenantIssuers, { namespace: names.shop, name });
});

async function isReady(of: Resource, one: One): Promise<void> {
  await eventually(async () => {
    const status = recordAt(await getObject(site.cluster.client, of, one), "status");
    assert.equal(readConditions(status).get("Ready")?.status, "True");
  });
}

after(async () => {
  const { client } = site.cluster;
  await deleteObject(client, resources.tenantClusterIssuers, { name: `shop-${site.run}` }).catch(() => undefined);
  await stack.disposeAsync();
});

function tenants(named: (name: string) => string) {
  const rule = (...namespaces: readonly string[]) => ({
    name: "all",
    clusters: ["east"],
    namespaces: namespaces.map(named),
    proofs: ["token", "request"],
  });
  return [
    document("MeshTenant", "shop", {
      trustDomain: "shop.example",
      root: "main",
      rules: [rule("shop", "till")],
      requests: {
        dnsNames: ["*.shop.example", "*.{namespace}.svc"],
        identities: true,
        usages: ["digital signature", "key encipherment", "server auth", "client auth"],
        maximumSeconds: 7_776_000,
      },
    }),
    document("MeshTenant", "media", {
      trustDomain: "media.example",
      root: "main",
      rules: [rule("media")],
      requests: { dnsNames: ["media.example"] },
      quotas: { liveCertificates: 1 },
    }),
  ];
}

async function startAgent(name: string): Promise<AgentProcess> {
  return await site.startProcess(name, { node: [main] }, { kubeconfig, signingRequests: true });
}

async function openAs(namespace: string, account: string): Promise<Client> {
  return stack.use(openClient({ credentials: fixedCredentials(await site.cluster.accessOf(namespace, account)) }));
}

async function makeIssuer(
  kind: "TenantIssuer" | "TenantClusterIssuer",
  name: string,
  spec: object,
  namespace?: string,
) {
  const of = kind === "TenantIssuer" ? resources.tenantIssuers : resources.tenantClusterIssuers;
  const body = { apiVersion: "espalier.dev/v1alpha1", kind, metadata: { name }, spec };
  await createObject(site.cluster.client, of, namespace === undefined ? {} : { namespace }, body);
}

/** An agent that begins to lead waits for the lease of one that was killed. */
const patienceMs = 90_000;
let made = 0;

/** Returns its name. */
async function make(as: Client, asked: string, spec: object = {}, name = `csr-${site.run}-${made++}`): Promise<string> {
  const usages = ["digital signature", "server auth"];
  const request = toRequest(csrOf(asked));
  const body = {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name },
    spec: { signerName: signer, request, usages, ...spec },
  };
  await createObject(as, resource, {}, body);
  return name;
}

async function judge(name: string, type: "Approved" | "Denied", as: Client = site.cluster.client): Promise<void> {
  const one = { name, subresource: "approval" } as const;
  const before = await getObject(site.cluster.client, resource, { name });
  const conditions = listAt(recordAt(before, "status"), "conditions");
  const condition = { type, status: "True", reason: "test", message: "by a test" };
  await mergeObject(as, resource, one, { status: { conditions: [...conditions, condition] } });
}

interface Verdict {
  readonly certificates: readonly X509Certificate[];
  readonly failed: { readonly reason: string; readonly message: string } | undefined;
  readonly uid: string;
}

async function verdict(name: string): Promise<Verdict> {
  const object = await getObject(site.cluster.client, resource, { name });
  const status = recordAt(object, "status");
  const pem = Buffer.from(textAt(status, "certificate") ?? "", "base64").toString("latin1");
  return {
    certificates: (pem.match(/-----BEGIN[^]+?-----END CERTIFICATE-----/g) ?? []).map((one) => new X509Certificate(one)),
    failed: readConditions(status).get("Failed"),
    uid: textAt(recordAt(object, "metadata"), "uid") ?? "",
  };
}

/** Its chain, verified up to where the root would be. */
async function issued(name: string): Promise<readonly [leaf: X509Certificate, ...above: X509Certificate[]]> {
  return await eventually(async () => {
    const { certificates, failed } = await verdict(name);
    const [leaf, ...above] = certificates;
    assert.ok(leaf, `${name}: ${failed?.reason ?? "waits"} ${failed?.message ?? ""}`);
    assert.equal(above.length, 1);
    for (const one of above) assert.ok(leaf.verify(one.publicKey));
    for (const one of certificates) assert.notEqual(one.issuer, one.subject, "the root stands in the chain");
    return [leaf, ...above];
  }, patienceMs);
}

async function fails(name: string): Promise<NonNullable<Verdict["failed"]>> {
  return await eventually(async () => {
    const { failed, certificates } = await verdict(name);
    assert.equal(certificates.length, 0, `${name} has a certificate`);
    assert.ok(failed, `${name} waits`);
    return failed;
  }, patienceMs);
}

async function approved(as: Client, asked: string, spec: object = {}): Promise<string> {
  const name = await make(as, asked, spec);
  await judge(name, "Approved");
  return name;
}

/** What Events say of it. */
async function eventsFor(name: string): Promise<readonly string[]> {
  return await eventsOf(site.cluster.client, resource, { name });
}

/** Under the codes of those refusals that end a request. */
async function refusedCount(): Promise<number> {
  const codes = ["request-denied", "identity-denied", "no-rule"];
  const counts = codes.map(async (code) => {
    const count = await agent.metric(
      String.raw`espalier_agent_refused_total\{code="${code}",tenant="",cluster="east"\}`,
    );
    return Number.isNaN(count) ? 0 : count;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

interface Explained {
  readonly findings: readonly { readonly id: string; readonly state: string; readonly says: string }[];
  readonly hub: { readonly granted: boolean } | null;
}

/** What `espalier explain csr` says of it: the exit code, what stands against it first but for its status, and all. */
async function explain(name: string): Promise<{ code: number; wrong: string | undefined; said: Explained }> {
  const argv = ["explain", "csr", name, "--kubeconfig", kubeconfigOf(process.env), "-o", "json"];
  const { code, stdout, stderr } = await espalier(argv, site.site.config.adminSocket);
  assert.notEqual(stdout, "", stderr);
  const said: Explained = JSON.parse(stdout);
  const wrong = said.findings.find(({ id, state }) => id !== "status" && state === "fail");
  return { code, wrong: wrong?.says, said };
}

test("what a ServiceAccount asks for is signed once somebody has approved it, and not before", async () => {
  const waits = await make(carts.shop, "DNS:a.shop.example");
  const signed = await make(carts.shop, `DNS:b.shop.example,DNS:web.${names.shop}.svc`, { expirationSeconds: 3600 });
  await judge(signed, "Approved");
  const [leaf] = await issued(signed);
  assert.equal(leaf.subjectAltName, `DNS:b.shop.example, DNS:web.${names.shop}.svc`);
  assert.equal((+new Date(leaf.validTo) - +new Date(leaf.validFrom)) / 1000, 3600);
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  await eventually(async () => assert.deepEqual(await eventsFor(signed), ["Normal CertificateIssued"]));
  const { certificates, failed } = await verdict(waits);
  assert.deepEqual([certificates, failed], [[], undefined]);
  await judge(waits, "Approved");
  await issued(waits);
});

test("an issuer of its own namespace is one too, and who asked stands in the ledger", async () => {
  const name = await approved(carts.shop, `URI:spiffe://shop.example/ns/${names.shop}/sa/cart`, {
    signerName: ownSigner,
    usages: ["digital signature", "server auth", "client auth"],
  });
  const [leaf] = await issued(name);
  assert.equal(leaf.subjectAltName, `URI:spiffe://shop.example/ns/${names.shop}/sa/cart`);
  const { uid } = await verdict(name);
  using database = new DatabaseSync(site.site.databasePath, { readOnly: true });
  const select = "SELECT lower(hex(serial)) AS serial, body FROM entries WHERE idempotency_key = ?";
  const row = database.prepare(select).get(`east/csr/${uid}`);
  assert.ok(row?.["body"] instanceof Uint8Array);
  assert.equal(row["serial"], leaf.serialNumber.toLowerCase());
  const { door, proof, request }: Readonly<Record<string, unknown>> = JSON.parse(
    Buffer.from(row["body"]).toString("utf8"),
  );
  assert.deepEqual([door, proof], ["csr", "request"]);
  assert.equal(textAt(recordAt({ request }, "request"), "username"), `system:serviceaccount:${names.shop}:cart`);
});

test("an issuer that goes with requests open is waited for", async () => {
  const later = { signerName: `tenantissuers.espalier.dev/${names.shop}.later` };
  const name = await approved(carts.shop, "DNS:later.shop.example", later);
  await eventually(async () => assert.deepEqual(await eventsFor(name), ["Normal IssuerNotFound"]));
  await makeIssuer("TenantIssuer", "later", { tenant: "nobody" }, names.shop);
  await eventually(async () => assert.ok((await eventsFor(name)).includes("Normal IssuerNotReady")));
  const waits = String.raw`espalier_agent_requests_waiting\{door="csr",reason="IssuerNotReady"\}`;
  await eventually(async () => assert.ok((await agent.metric(waits)) > 0));
  await deleteObject(site.cluster.client, resources.tenantIssuers, { namespace: names.shop, name: "later" });
  await eventually(async () => assert.ok((await agent.metric(waits.replace("NotReady", "NotFound"))) > 0));
  await makeIssuer("TenantIssuer", "later", { tenant: "shop" }, names.shop);
  await issued(name);
  await eventually(async () => assert.ok(Number.isNaN(await agent.metric(waits))));
});

test("what the hub cannot give now is asked again, and told once", async () => {
  await makeIssuer("TenantIssuer", "media", { tenant: "media" }, names.media);
  const spec = { signerName: `tenantissuers.espalier.dev/${names.media}.media` };
  await issued(await approved(carts.media, "DNS:media.example", spec));
  const name = await approved(carts.media, "DNS:media.example", spec);
  await eventually(async () => assert.deepEqual(await eventsFor(name), ["Normal Retrying"]));
  const file = join(site.site.directory, "resources", "all.yaml");
  const documents = readFileSync(file, "utf8").replace('"liveCertificates":1', '"liveCertificates":2');
  site.site.declare(documents.split("\n---\n").map((one): Document => JSON.parse(one)));
  await issued(name);
  await eventually(async () =>
    assert.deepEqual(await eventsFor(name), ["Normal CertificateIssued", "Normal Retrying"]),
  );
});

test("who asks for what is not theirs is told why, and leaves nothing in the ledger", async (t) => {
  const intents = site.site.intents();
  const refused = await refusedCount();
  const { shop, till, media, nobody } = carts;
  const spiffe = (trustDomain: string, namespace: string) => `URI:spiffe://${trustDomain}/ns/${namespace}/sa/cart`;
  const both = { usages: ["digital signature", "server auth", "client auth"] };
  const ca = { request: toRequest(csrOf("DNS:a.shop.example", { extensions: ["basicConstraints=critical,CA:TRUE"] })) };
  const two = { request: toRequest(csrOf("DNS:a.shop.example"), csrOf("DNS:b.shop.example")) };
  // The API server reads what it finds first, and takes what follows for nothing.
  const pem = toPem("CERTIFICATE REQUEST", csrOf("DNS:a.shop.example"));
  const long = { request: Buffer.from(pem + "x\n".repeat(500_000)).toString("base64") };
  const theirs = { signerName: `tenantissuers.espalier.dev/${names.shop}.theirs` };
  const asked: readonly (readonly [
    what: string,
    as: Client,
    names: string,
    spec: object,
    reason: string,
    says: RegExp,
  ])[] = [
    ["a name that is not given", shop, "DNS:media.example", {}, "Refused", /spec\.requests\.dnsNames/],
    ["another namespace's service", shop, `DNS:web.${names.till}.svc`, {}, "Refused", /spec\.requests\.dnsNames/],
    ["what istiod serves with", shop, "DNS:istiod.istio-system.svc", {}, "Refused", /dnsNames|serve with/],
    ["another namespace's SPIFFE ID", shop, spiffe("shop.example", names.till), both, "Refused", /identity-denied/],
    ["another tenant's SPIFFE ID", shop, spiffe("media.example", names.shop), both, "Refused", /identity-denied/],
    ["a CA smuggled in the CSR", shop, "DNS:a.shop.example", ca, "Refused", /isCA/],
    [
      "a key to sign certificates with",
      shop,
      "DNS:a.shop.example",
      { usages: ["cert sign"] },
      "Refused",
      /usage "cert sign"/,
    ],
    ["another tenant", shop, "DNS:media.example", theirs, "Refused", /no rule of MeshTenant "media"/],
    [
      "another namespace's issuer",
      till,
      "DNS:a.shop.example",
      { signerName: ownSigner },
      "IssuerNotForNamespace",
      /for that namespace alone/,
    ],
    [
      "an issuer that does not name the namespace",
      media,
      "DNS:a.shop.example",
      {},
      "IssuerNotForNamespace",
      /is not for namespace/,
    ],
    [
      "a namespace that has an issuer and no rule",
      nobody,
      "DNS:a.shop.example",
      {},
      "Refused",
      /no rule of MeshTenant "shop"/,
    ],
    [
      "somebody who is no ServiceAccount",
      site.cluster.client,
      "DNS:a.shop.example",
      {},
      "NoServiceAccount",
      /no ServiceAccount/,
    ],
    [
      "more time than there is",
      shop,
      "DNS:a.shop.example",
      { expirationSeconds: 7_776_001 },
      "Refused",
      /maximumSeconds/,
    ],
    ["two CSRs in one", shop, "DNS:a.shop.example", two, "InvalidRequest", /follows/],
    ["a megabyte", shop, "DNS:a.shop.example", long, "InvalidRequest", /longer than any/],
  ];
  for (const [what, as, subjectAltName, spec, reason, says] of asked)
    await t.test(`${what}: ${reason}`, async () => {
      const name = await approved(as, subjectAltName, spec);
      const failed = await fails(name);
      assert.equal(failed.reason, reason, failed.message);
      assert.match(failed.message, says);
      await eventually(async () => assert.deepEqual(await eventsFor(name), [`Warning ${reason}`]));
      // Word for word, but for the reference of the issuer's log line.
      const { code, wrong, said } = await explain(name);
      assert.deepEqual([code, wrong], [1, failed.message.replace(/ \(reference \S+\)/, "")]);
      const status = said.findings.find(({ id }) => id === "status");
      assert.equal(status?.says, `Failed: ${reason}: ${failed.message}`);
    });
  assert.equal(site.site.intents(), intents);
  assert.equal(await refusedCount(), refused + asked.length);
});

test("explain says of the others what became of them, and what they still need", async () => {
  const signed = await approved(carts.shop, "DNS:g.shop.example");
  await issued(signed);
  const given = await explain(signed);
  assert.deepEqual([given.code, given.wrong, given.said.hub], [0, undefined, null]);
  assert.ok(given.said.findings.some(({ id, says }) => id === "status" && says === "it has its certificate"));

  const waits = await make(carts.shop, "DNS:h.shop.example");
  assert.deepEqual((await explain(waits)).wrong, "nobody has approved it");
  await judge(waits, "Denied");
  assert.deepEqual((await explain(waits)).wrong, "it was denied");

  const absent = { signerName: `tenantissuers.espalier.dev/${names.shop}.absent` };
  const early = await approved(carts.shop, "DNS:i.shop.example", absent);
  assert.match((await explain(early)).wrong ?? "", /there is no TenantIssuer "absent"/);

  const theirs = await approved(carts.shop, "DNS:j.shop.example", { signerName: "example.com/other" });
  const other = await explain(theirs);
  assert.deepEqual([other.code, other.wrong], [1, "asks the signer example.com/other, which is nothing of ours"]);
  assert.deepEqual((await explain("nowhere")).wrong, "there is no CertificateSigningRequest nowhere");
});

test("what is denied gets nothing, and what was approved is neither denied nor edited afterwards", async () => {
  const denied = await make(carts.shop, "DNS:a.shop.example");
  await judge(denied, "Denied");
  await assert.rejects(judge(denied, "Approved"), ApiError);
  const name = await make(carts.shop, "DNS:before.shop.example");
  await judge(name, "Approved");
  await assert.rejects(judge(name, "Denied"), ApiError);
  const spec = { request: toRequest(csrOf("DNS:after.shop.example")), usages: ["client auth"], signerName: ownSigner };
  await mergeObject(site.cluster.client, resource, { name }, { spec }).catch((error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
  });
  const [leaf] = await issued(name);
  assert.equal(leaf.subjectAltName, "DNS:before.shop.example");
  const { certificates, failed } = await verdict(denied);
  assert.deepEqual([certificates, failed], [[], undefined]);
});

test("a certificate that somebody else has written stays, and is none of ours", async () => {
  const intents = site.site.intents();
  const foreign = await make(carts.shop, "DNS:foreign.shop.example");
  const [, above] = await issued(await approved(carts.shop, "DNS:c.shop.example"));
  assert.ok(above);
  const certificate = Buffer.from(above.toString()).toString("base64");
  const one = { name: foreign, subresource: "status" } as const;
  // Only who may sign for the signer may.
  await assert.rejects(mergeObject(carts.shop, resource, one, { status: { certificate } }), ApiError);
  await mergeObject(site.cluster.client, resource, one, { status: { certificate } });
  await judge(foreign, "Approved");
  await issued(await approved(carts.shop, "DNS:d.shop.example"));
  assert.equal((await verdict(foreign)).certificates[0]?.fingerprint256, above.fingerprint256);
  assert.equal(site.site.intents(), intents + 2);
});

test("the agent's account signs, and neither asks nor approves", async () => {
  const own = await openAs(site.system, "espalier-agent");
  await assert.rejects(make(own, "DNS:a.shop.example"), ApiError);
  const name = await make(carts.shop, "DNS:a.shop.example");
  await assert.rejects(judge(name, "Approved", own), ApiError);
  const other = await make(carts.shop, "DNS:a.shop.example", { signerName: "example.com/other" });
  await judge(other, "Approved");
  const [leaf] = await issued(await approved(carts.shop, "DNS:e.shop.example"));
  const status = { certificate: Buffer.from(leaf.toString()).toString("base64") };
  await assert.rejects(mergeObject(own, resource, { name: other, subresource: "status" }, { status }), ApiError);
});

test("who is bound to the role that the page has may approve for that signer, and for no other", async () => {
  const shown = manifestsOf("docs/kubernetes-csr.md").flat();
  const role = shown.find(({ kind, metadata }) => kind === "ClusterRole" && metadata?.name === "approve-shop");
  const { rules } = JSON.parse(
    JSON.stringify(role).replaceAll("issuers.espalier.dev/shop", `issuers.espalier.dev/shop-${site.run}`),
  );
  const name = `approve-${site.run}`;
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name };
  const subjects = [{ kind: "ServiceAccount", name: "approver", namespace: names.nobody }];
  const { client } = site.cluster;
  await site.cluster.account(names.nobody, "approver");
  const approver = await openAs(names.nobody, "approver");
  await applyObject(client, kinds.clusterRoles, { name }, { rules });
  await applyObject(client, kinds.clusterRoleBindings, { name }, { roleRef, subjects });
  try {
    const given = await make(carts.shop, "DNS:k.shop.example");
    await eventually(async () => await judge(given, "Approved", approver));
    await getObject(approver, resource, { name: given });
    await issued(given);
    const other = await make(carts.shop, "DNS:k.shop.example", { signerName: ownSigner });
    await assert.rejects(judge(other, "Approved", approver), ApiError);
    await assert.rejects(make(approver, "DNS:k.shop.example"), ApiError);
  } finally {
    for (const resource of [kinds.clusterRoleBindings, kinds.clusterRoles])
      await deleteObject(client, resource, { name });
  }
});

test("a name that is used again is another request", async () => {
  const name = await approved(carts.shop, "DNS:first.shop.example");
  const [first] = await issued(name);
  await deleteObject(site.cluster.client, resource, { name });
  await make(carts.shop, "DNS:second.shop.example", {}, name);
  await judge(name, "Approved");
  const [second] = await issued(name);
  assert.equal(second.subjectAltName, "DNS:second.shop.example");
  assert.notEqual(second.serialNumber, first.serialNumber);
});

test("a stolen agent gets nothing under a UID that was used, nor for a namespace that its account is not of", async () => {
  const name = await approved(carts.shop, "DNS:f.shop.example");
  await issued(name);
  const { uid } = await verdict(name);
  const token = await site.cluster.token(site.system, "espalier-agent", {
    audience: `espalier:${hubName}`,
    pod: "agent-0",
  });
  using thief = await openThief(site.site, site.issuer.address, "east", { token });
  const asked = {
    door: "csr",
    namespace: names.shop,
    name,
    issuer: `TenantClusterIssuer/shop-${site.run}`,
    profile: "request",
    username: `system:serviceaccount:${names.shop}:cart`,
    usages: ["digital signature", "server auth"],
  };
  const sign = async (request: object, idempotencyKey: string): Promise<string | undefined> => {
    const csr = csrOf("DNS:f.shop.example");
    return (await thief.sign({ csr, signer: "shop", idempotencyKey, request: { ...asked, ...request } })).refused?.code;
  };
  assert.equal(await sign({}, uid), "replay-differs");
  for (const username of [
    `system:serviceaccount:${names.media}:cart`,
    "kubernetes-admin",
    `system:serviceaccount:${names.shop}`,
  ])
    assert.equal(await sign({ username }, `${uid}-other`), "malformed", username);
});

test("of two agents the one that leads is killed in between: no request is lost, and none is signed twice", async () => {
  const second = await startAgent("csr-second");
  await second.ready();
  const all: string[] = [];
  const making = (async () => {
    for (let at = 0; at < 24; at++) all.push(await approved(carts.shop, `DNS:k${at}.shop.example`));
  })();
  await delay(700);
  await agent.daemon.stop("SIGKILL");
  await making;
  const leaves = await Promise.all(all.map(async (name) => (await issued(name))[0].serialNumber));
  assert.equal(new Set(leaves).size, all.length);
  const uids = await Promise.all(all.map(async (name) => (await verdict(name)).uid));
  using database = new DatabaseSync(site.site.databasePath, { readOnly: true });
  const count = database.prepare("SELECT count(*) AS n FROM entries WHERE idempotency_key = ?");
  for (const uid of uids) assert.equal(count.get(`east/csr/${uid}`)?.["n"], 1);
  await site.site.verify();
});
