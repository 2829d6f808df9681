/**
 * An agent beside a real API server: `KUBECONFIG=… node --test test/kube/agent.ts`, with the rights of an administrator. Tokens are
 * the cluster's own, by TokenRequest; outages are those of a relay between agent and API server.
 */
import assert from "node:assert/strict";
import { randomUUID, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { applyObject } from "../../src/kube/apply.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { listItems } from "../../src/kube/list.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { createObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { until } from "../contract/kube-setting.ts";
import { openRealCluster, type RealCluster, writeKubeconfig } from "../support/kube-cluster.ts";
import { type Relay, startRelay } from "../support/kube-relay.ts";
import {
  type AgentStack,
  type Answer,
  type AskOptions,
  assertIssued,
  assertRefused,
  type Clock,
  clusterDocument,
  csrFor,
  document,
  type IssuerStack,
  makeSite,
  openClock,
  openWorkload,
  type Site,
  startAgentOf,
  startIssuerOn,
  tlsOf,
} from "../support/stack.ts";

const { KUBECONFIG: path } = process.env;
if (path === undefined) throw new Error("KUBECONFIG is not set: test/kube/run starts an API server if it can");

const run = randomUUID().slice(0, 6);
const names = { shop: `shop-${run}`, system: `espalier-${run}`, istio: `istio-${run}`, other: `other-${run}` };
const node = `node-${run}`;
const rootConfigMap = `istio-ca-root-cert-${run}`;
const stack = new AsyncDisposableStack();
let cluster: RealCluster;
let relay: Relay;
let site: Site;
let clock: Clock;
let issuer: IssuerStack;
let agent: AgentStack;

const idOf = (namespace: string, account: string): string => `spiffe://shop.example/ns/${namespace}/sa/${account}`;

before(async () => {
  cluster = stack.use(await openRealCluster(path));
  relay = stack.use(await startRelay(cluster.access));
  for (const name of Object.values(names)) await cluster.namespace(name, { mesh: run });
  for (const account of ["cart", "till", "ghost"]) await cluster.account(names.shop, account);
  await cluster.account(names.system, "espalier-agent");
  await cluster.account(names.istio, "ztunnel");
  await createObject(cluster.client, resources.nodes, {}, { apiVersion: "v1", kind: "Node", metadata: { name: node } });
  await cluster.pod(names.system, "agent-0", "espalier-agent", node);
  await cluster.pod(names.shop, "cart-1", "cart", node);
  await cluster.pod(names.istio, "ztunnel-1", "ztunnel", node);
  clock = openClock();
  site = stack.use(await makeSite({ documents: documents(), serving: ["east"] }));
  issuer = stack.use(await startIssuerOn(site, { clock }));
  agent = stack.use(await startAgent("first"));
  await agent.ready();
});

after(async () => await stack.disposeAsync());

function documents(): readonly object[] & ReturnType<typeof document>[] {
  return [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "shop", {
      trustDomain: "shop.example",
      root: "main",
      rules: [{ name: "pods", clusters: ["east"], namespaces: [names.shop], proofs: ["token", "impersonated"] }],
    }),
    clusterDocument("east", {
      tokens: { issuer: cluster.issuer, keys: { jwks: JSON.parse(cluster.jwks) } },
      agent: { namespace: names.system, serviceAccount: "espalier-agent" },
      ztunnelAccounts: [`${names.istio}/ztunnel`],
    }),
  ];
}

async function startAgent(name: string): Promise<AgentStack> {
  const tokenFile = join(site.directory, `${name}-token`);
  const audience = "espalier:hub.example";
  writeFileSync(tokenFile, await cluster.token(names.system, "espalier-agent", { audience, pod: "agent-0" }), {
    mode: 0o600,
  });
  const jwksFile = join(site.directory, `${name}-jwks.json`);
  writeFileSync(jwksFile, cluster.jwks);
  return await startAgentOf(site, "east", {
    clock,
    issuers: [issuer.address],
    tokens: { issuer: cluster.issuer, jwksFile },
    config: {
      tokenFile,
      kubernetes: {
        kubeconfig: writeKubeconfig(site.directory, relay.access),
        namespace: names.system,
        name: "espalier-agent",
        tokens: "local",
        stalenessSeconds: 300,
        ztunnelAccounts: [`${names.istio}/ztunnel`],
        rootConfigMap,
        namespaceSelector: { mesh: run },
        istiodNamespace: names.istio,
        istiodSecret: "istiod-tls",
        revisions: [],
      },
    },
  });
}

async function ask(options: AskOptions): Promise<Answer> {
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  return await workload.ask(options);
}

async function askAs(token: string, account: string, impersonated = ""): Promise<Answer> {
  const metadata = { CertSigner: "", ...(impersonated === "" ? {} : { ImpersonatedIdentity: impersonated }) };
  return await ask({ token, csr: csrFor(impersonated === "" ? idOf(names.shop, account) : impersonated), metadata });
}

async function rootsIn(namespace: string): Promise<string | undefined> {
  const found = await getObject(cluster.client, resources.configMaps, { namespace, name: rootConfigMap }).catch(
    () => undefined,
  );
  return found === undefined ? undefined : readConfigMap(found).data.get("root-cert.pem");
}

test("a pod's own token gets its certificate, and not once the pod is gone", async () => {
  const token = await cluster.token(names.shop, "cart", { pod: "cart-1" });
  assertIssued(await askAs(token, "cart"));
  await cluster.pod(names.shop, "cart-2", "cart", node);
  const second = await cluster.token(names.shop, "cart", { pod: "cart-2" });
  assertIssued(await askAs(second, "cart"));
  await cluster.deletePod(names.shop, "cart-2");
  await until("it is refused", async () => "code" in (await askAs(second, "cart")));
  assertRefused(await askAs(second, "cart"), "proof-invalid", /does not exist/);
});

test("a pod of the same name is another pod, and is served the moment it is there", async () => {
  await cluster.pod(names.shop, "till-0", "till", node);
  const before = await cluster.token(names.shop, "till", { pod: "till-0" });
  assertIssued(await askAs(before, "till"));
  await cluster.deletePod(names.shop, "till-0");
  await cluster.pod(names.shop, "till-0", "till", node);
  assertIssued(await askAs(await cluster.token(names.shop, "till", { pod: "till-0" }), "till"));
  assertRefused(await askAs(before, "till"), "proof-invalid", /replaced by another/);
});

test("a ztunnel is given the workloads of its node", async (t) => {
  const cart = idOf(names.shop, "cart");
  const ztunnel = await cluster.token(names.istio, "ztunnel", { pod: "ztunnel-1" });
  await t.test("its own node's", async () => void assertIssued(await askAs(ztunnel, "", cart)));
  await t.test("one hundred at once cost no look-up of their own", async () => {
    const before = relay.taken();
    const answers = await Promise.all(Array.from({ length: 100 }, async () => await askAs(ztunnel, "", cart)));
    for (const one of answers) assertIssued(one);
    assert.ok(relay.taken() - before < 5, "connections were made for them");
  });
});

test("every selected namespace gets the roots, and a forged one is overwritten with an Event", async () => {
  const wanted = site.servingRootsPem["east"];
  for (const name of [names.shop, names.system, names.other]) {
    await until(`${name} has them`, async () => (await rootsIn(name)) === wanted);
  }
  const istio = await rootsIn(names.istio);
  assert.ok(
    istio?.startsWith(wanted ?? "-") && istio.length > (wanted ?? "").length,
    "istiod's namespace has its tenants' too",
  );
  const fresh = `fresh-${run}`;
  await cluster.namespace(fresh, { mesh: run });
  await until("a new one has them", async () => (await rootsIn(fresh)) === wanted, 5_000);
  const content = { data: { "root-cert.pem": "forged" } };
  await applyObject(cluster.client, resources.configMaps, { namespace: names.shop, name: rootConfigMap }, content, {
    fieldManager: "mallory",
    force: true,
  });
  await until("it is overwritten", async () => (await rootsIn(names.shop)) === wanted, 5_000);
  const seen = async (): Promise<boolean> => {
    const reasons: string[] = [];
    const onPage = (items: readonly unknown[]): void => {
      for (const event of items) reasons.push(textAt(recordAt({ event }, "event"), "reason") ?? "");
    };
    await listItems(
      cluster.client,
      { resource: resources.events },
      {},
      { read: (item) => item, onPage, onRestart: () => {} },
    );
    return reasons.includes("TrustOverwritten");
  };
  await until("an Event says so", seen);
});

test("istiod's certificate is whole before istiod starts", async () => {
  const one = { namespace: names.istio, name: "istiod-tls" };
  await until(
    "it is there",
    async () =>
      await getObject(cluster.client, resources.secrets, one).then(
        () => true,
        () => false,
      ),
  );
  const data = recordAt(await getObject(cluster.client, resources.secrets, one), "data");
  const pem = (key: string): string => Buffer.from(textAt(data, key) ?? "", "base64").toString("utf8");
  assert.equal(pem("ca.crt"), site.servingRootsPem["east"]);
  const certificate = new X509Certificate(pem("tls.crt"));
  assert.match(certificate.subjectAltName ?? "", /DNS:istiod\.istio-system\.svc/);
  assert.ok(certificate.verify(new X509Certificate(pem("ca.crt")).publicKey));
});

test("with the API server away known pods are served up to the staleness limit, and unknown ones are UNAVAILABLE", async () => {
  const known = await cluster.token(names.shop, "cart", { pod: "cart-1" });
  await cluster.pod(names.shop, "late-1", "ghost", node);
  const other = await cluster.token(names.shop, "ghost", { pod: "late-1" });
  await cluster.deletePod(names.shop, "late-1");
  await until("the agent knows it is gone", async () => "code" in (await askAs(other, "ghost")));
  relay.cut();
  assertIssued(await askAs(known, "cart"));
  // Its answer from a moment ago is forgotten first.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertRefused(await askAs(other, "ghost"), "unavailable");
  clock.offsetSeconds = 301;
  assertRefused(await askAs(known, "cart"), "unavailable");
  relay.accept();
  clock.offsetSeconds = 0;
  await until("it is served again", async () => "chain" in (await askAs(known, "cart")), 60_000);
});

test("an istiod that still distributes its own root is not fought, and readiness says so", async () => {
  const content = { data: { "root-cert.pem": "istiod's own" } };
  await applyObject(cluster.client, resources.configMaps, { namespace: names.istio, name: rootConfigMap }, content, {
    fieldManager: "pilot-discovery",
    force: true,
  });
  await until("readiness says so", async () => {
    const answer = await fetch(`http://127.0.0.1:${agent.running.httpPort}/readyz`);
    return answer.status === 503 && (await answer.text()).includes(rootConfigMap);
  });
  assert.equal(await rootsIn(names.istio), "istiod's own");
});

test("a second agent takes over when the first one goes, with the state it left", async () => {
  await agent[Symbol.asyncDispose]();
  agent = stack.use(await startAgent("second"));
  await until("it leads", () => agent.log.lines.some((line) => line.event === "leading"), 30_000);
  await agent.address();
  assertIssued(await askAs(await cluster.token(names.shop, "cart", { pod: "cart-1" }), "cart"));
});
