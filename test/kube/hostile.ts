/**
 * Those who should get nothing, in a real cluster: `KUBECONFIG=… node --test test/kube/hostile.ts`. Each is told the code that
 * DESIGN says, leaves one line and one count, and nothing in the ledger.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { RefusalCode } from "../../src/errors.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { createObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { resources, toPath } from "../../src/kube/resource.ts";
import { toPem } from "../../src/pki/pem.ts";
import { openPort } from "../../src/rpc/guard.ts";
import { until } from "../contract/kube-setting.ts";
import { ago, moved } from "../support/clock.ts";
import { document } from "../support/documents.ts";
import { buildImage } from "../support/image.ts";
import { kubeconfigOf } from "../support/kube-cluster.ts";
import { type KubeSite, openKubeSite } from "../support/kube-site.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority, makeLeaf } from "../support/pki.ts";
import { type AgentStack, startIssuerOn } from "../support/stack.ts";
import { assertRefusal, assertTraces, traces } from "../support/traces.ts";
import {
  type Answer,
  type AskOptions,
  assertIssued,
  assertRefused,
  csrFor,
  type Identity,
  newKey,
  openWorkload,
  tlsOf,
  toIdentity,
} from "../support/workload.ts";

const path = kubeconfigOf(process.env);

const stack = new AsyncDisposableStack();
let stage: KubeSite;
let agent: AgentStack;
/** Namespaces: of tenant `shop`, whose rule takes every proof; of `bank`; of `kiosk`, whose rule takes tokens only; of nobody. */
let shop = "";
let bank = "";
let kiosk = "";
let other = "";
const nodes = { here: "", elsewhere: "" };
const slow = 10_000;

before(async () => {
  stage = stack.use(
    await openKubeSite(path, (named) => [
      tenant("shop", named("shop"), ["token", "impersonated", "certificate"]),
      tenant("bank", named("bank"), ["token", "certificate"]),
      tenant("kiosk", named("kiosk"), ["token"]),
    ]),
  );
  const { cluster, istio } = stage;
  shop = await stage.namespace("shop");
  [bank, kiosk, other] = [
    await stage.namespace("bank"),
    await stage.namespace("kiosk"),
    await stage.namespace("other"),
  ];
  const accounts = [`${shop}/cart`, `${shop}/till`, `${shop}/ended`, `${shop}/vm`, `${bank}/vm`, `${kiosk}/vm`];
  for (const one of [...accounts, `${other}/ztunnel`, `${istio}/cni`]) {
    const [namespace = "", name = ""] = one.split("/");
    await cluster.account(namespace, name);
  }
  nodes.here = await stage.node("here");
  nodes.elsewhere = await stage.node("elsewhere");
  await cluster.pod(shop, "cart-1", "cart", nodes.here);
  await cluster.pod(istio, "ztunnel-1", "ztunnel", nodes.here);
  await cluster.pod(istio, "ztunnel-2", "ztunnel", nodes.elsewhere);
  await cluster.pod(istio, "cni-1", "cni", nodes.here);
  await cluster.pod(other, "ztunnel-1", "ztunnel", nodes.here);
  agent = await stage.startAgent("hostile");
  // The last that it asks for itself: from then on nothing comes into the ledger that a test has not asked for.
  await until("istiod has its certificate", () =>
    agent.log.of("certificate obtained").some(({ fields }) => String(fields["certificate"]).endsWith("istiod-tls")),
  );
});
after(async () => await stack.disposeAsync());

function tenant(name: string, namespace: string, proofs: readonly string[]) {
  const rules = [{ name: "all", clusters: ["east"], namespaces: [namespace], proofs }];
  return document("MeshTenant", name, { trustDomain: `${name}.example`, root: "main", rules });
}

function idOf(name: string, namespace: string, account: string): string {
  return `spiffe://${name}.example/ns/${namespace}/sa/${account}`;
}

async function ask(options: AskOptions, identity?: Identity): Promise<Answer> {
  const shown = identity === undefined ? {} : { identity };
  using workload = openWorkload(await agent.address(), tlsOf(stage.site, "east"), "east", shown);
  return await workload.ask(options);
}

/** It is refused with this code, at the agent alone or at the issuer too, and leaves what a refusal leaves. */
async function refused(
  code: RefusalCode,
  at: "agent" | "issuer",
  asking: () => Promise<Answer>,
  message?: RegExp,
): Promise<void> {
  const traced = { site: stage.site, issuer: stage.issuer, agent: () => agent };
  const earlier = await traces(traced);
  assertRefused(await asking(), code, message);
  await assertTraces(traced, earlier, code, at);
}

test("tokens that prove nothing here, or another", async (t) => {
  const { cluster, clock } = stage;
  const csr = csrFor(idOf("shop", shop, "cart"));
  const token = await cluster.token(shop, "cart", { pod: "cart-1" });
  assertIssued(await ask({ token, csr }));
  await cluster.pod(shop, "till-1", "till", nodes.here);
  const forger = createTokenIssuer(cluster.issuer);
  const [key = {}]: readonly { readonly kid?: string }[] = JSON.parse(cluster.jwks).keys;
  const claims = { namespace: shop, serviceAccount: "cart" };
  const invalid: Readonly<Record<string, AskOptions>> = {
    "of another audience": { token: await cluster.token(shop, "cart", { pod: "cart-1", audience: "vault" }) },
    "of another cluster": { token: createTokenIssuer("https://west.example").token(claims) },
    "of another cluster whose issuer is called the same": { token: forger.token(claims) },
    "of another cluster, under a key id of this one": { token: forger.token({ ...claims, header: { kid: key.kid } }) },
    "its own, with another cluster's id beside it": { token, headers: { clusterid: "west" } },
  };
  for (const [title, options] of Object.entries(invalid)) {
    await t.test(
      title,
      async () => await refused("proof-invalid", "agent", async () => await ask({ csr, ...options })),
    );
  }
  await t.test("none, and no certificate", async () => {
    await refused("proof-missing", "agent", async () => await ask({ token: undefined, csr }));
  });
  await t.test("of another workload of the tenant", async () => {
    const its = await cluster.token(shop, "till", { pod: "till-1" });
    await refused("identity-denied", "issuer", async () => await ask({ token: its, csr }));
  });
  await t.test("of a namespace that no tenant has a rule for", async () => {
    const its = await cluster.token(other, "ztunnel", { pod: "ztunnel-1" });
    await refused("no-rule", "issuer", async () => await ask({ token: its, csr }));
  });
  await t.test("of a pod that was deleted two minutes ago", async () => {
    await cluster.pod(shop, "cart-2", "cart", nodes.here);
    const gone = await cluster.token(shop, "cart", { pod: "cart-2" });
    assertIssued(await ask({ token: gone, csr }));
    await cluster.deletePod(shop, "cart-2");
    await eventually(async () => assertRefused(await ask({ token: gone, csr }), "proof-invalid"));
    const asking = async (): Promise<void> =>
      await refused("proof-invalid", "agent", async () => await ask({ token: gone, csr }));
    await moved(clock, 120, asking);
  });
  await t.test("of a pod that has been going for two minutes; for half of one it is still served", async () => {
    const going = await openGoing("cart-3");
    await moved(clock, 30, async () => void assertIssued(await ask({ token: going, csr })));
    const asking = async (): Promise<void> =>
      await refused("proof-invalid", "agent", async () => await ask({ token: going, csr }));
    await moved(clock, 120, asking);
  });
});

/** The token of a pod that is deleted and stays: it has a finalizer. */
async function openGoing(name: string): Promise<string> {
  const { cluster } = stage;
  const spec = { serviceAccountName: "cart", nodeName: nodes.here, automountServiceAccountToken: false };
  const metadata = { name, finalizers: ["espalier.dev/test"] };
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { ...spec, containers: [{ name: "main", image: "none" }] },
  };
  await createObject(cluster.client, resources.pods, { namespace: shop }, pod);
  stack.defer(async () => {
    const free = { metadata: { finalizers: [] } };
    await mergeObject(cluster.client, resources.pods, { namespace: shop, name }, free);
  });
  const token = await cluster.token(shop, "cart", { pod: name });
  await cluster.deletePod(shop, name);
  return token;
}

test("a ztunnel's own account asks for the workloads of its node, and nobody else for anybody's", async (t) => {
  const { cluster, istio } = stage;
  const cart = idOf("shop", shop, "cart");
  const token = (namespace: string, account: string, pod?: string): Promise<string> =>
    cluster.token(namespace, account, pod === undefined ? {} : { pod });
  const ztunnel = await token(istio, "ztunnel", "ztunnel-1");
  const asking = async (options: AskOptions, impersonated = cart, csr = cart): Promise<Answer> =>
    await ask({ csr: csrFor(csr), metadata: { CertSigner: "", ImpersonatedIdentity: impersonated }, ...options });
  assertIssued(await asking({ token: ztunnel }));

  await cluster.pod(shop, "ended-1", "ended", nodes.here);
  await endPod("ended-1");
  const callers: Readonly<Record<string, readonly [string, RefusalCode]>> = {
    "a ztunnel of another node": [await token(istio, "ztunnel", "ztunnel-2"), "impersonation-refused"],
    "an account of that name in a namespace nobody trusts": [
      await token(other, "ztunnel", "ztunnel-1"),
      "impersonation-refused",
    ],
    "another account of the trusted namespace": [await token(istio, "cni", "cni-1"), "impersonation-refused"],
    "a workload, for its neighbour": [await token(shop, "cart", "cart-1"), "impersonation-refused"],
    "a ztunnel's token that is bound to no pod": [await token(istio, "ztunnel"), "proof-invalid"],
    "a ztunnel's token for another audience": [
      await cluster.token(istio, "ztunnel", { pod: "ztunnel-1", audience: "vault" }),
      "proof-invalid",
    ],
  };
  for (const [title, [caller, code]] of Object.entries(callers)) {
    await t.test(title, async () => await refused(code, "agent", async () => await asking({ token: caller })));
  }
  await t.test("a ztunnel whose pod is gone", async () => {
    await cluster.pod(istio, "ztunnel-3", "ztunnel", nodes.here);
    const gone = await token(istio, "ztunnel", "ztunnel-3");
    assertIssued(await asking({ token: gone }));
    await cluster.deletePod(istio, "ztunnel-3");
    await eventually(async () => assertRefused(await asking({ token: gone }), "proof-invalid"));
    await refused("proof-invalid", "agent", async () => await asking({ token: gone }));
  });

  for (const [title, account] of Object.entries({ "what runs nowhere": "ghost", "what has ended": "ended" })) {
    const its = idOf("shop", shop, account);
    await t.test(`for ${title}`, async () => {
      const asked = async (): Promise<Answer> => await asking({ token: ztunnel }, its, its);
      await refused("impersonation-refused", "agent", asked, /no pod of .* runs on the caller's node/);
    });
  }
  const names: Readonly<Record<string, string>> = {
    "a comma": `spiffe://shop.example,evil/ns/${shop}/sa/cart`,
    "a second name": `${cart},${cart}`,
    "a line break": `${cart}\n`,
    "a NUL": `${cart}\0`,
    "a percent escape": `spiffe://shop.example/ns/${shop}/sa/c%61rt`,
    "a trust domain in upper case": `spiffe://SHOP.example/ns/${shop}/sa/cart`,
    "a scheme in upper case": `SPIFFE://shop.example/ns/${shop}/sa/cart`,
    "a port": `spiffe://shop.example:443/ns/${shop}/sa/cart`,
    "a query": `${cart}?a=b`,
    "dots for a segment": `spiffe://shop.example/ns/${shop}/sa/../sa/cart`,
    "one segment more": `${cart}/admin`,
    "too few segments": `spiffe://shop.example/${shop}/cart`,
  };
  for (const [title, name] of Object.entries(names)) {
    await t.test(`for a name with ${title}`, async () => {
      const asked = async (): Promise<Answer> => await asking({ token: ztunnel }, name);
      await refused("impersonation-refused", "agent", asked, /the identity is not /);
    });
  }
  await t.test("with a CSR for another workload of the node", async () => {
    await refused(
      "impersonation-refused",
      "agent",
      async () => await asking({ token: ztunnel }, cart, idOf("shop", shop, "till")),
    );
  });
  await t.test("for another trust domain", async () => {
    const foreign = idOf("bank", shop, "cart");
    await refused("identity-denied", "issuer", async () => await asking({ token: ztunnel }, foreign, foreign));
  });
});

/** As a kubelet says it. */
async function endPod(name: string): Promise<void> {
  const { client } = stage.cluster;
  const body = { status: { phase: "Succeeded" } };
  const place = toPath(resources.pods, { namespace: shop, name, subresource: "status" });
  await client.call({ verb: "PATCH", path: place, contentType: "application/merge-patch+json", body });
}

test("a namespace that comes with forged roots in it gets ours, and the forgery is told once", async () => {
  const { cluster, rootConfigMap: name, site, run } = stage;
  const namespace = await stage.namespace("born-forged", false);
  const forged = { data: { "root-cert.pem": "forged" } };
  await applyObject(cluster.client, resources.configMaps, { namespace, name }, forged, { fieldManager: "mallory" });
  const before = await overwritten();
  // From now on it is one of the mesh's: the agent sees it for the first time, with what is in it.
  await mergeObject(cluster.client, resources.namespaces, { name: namespace }, { metadata: { labels: { mesh: run } } });
  const rootsIn = async (): Promise<string | undefined> =>
    readConfigMap(await getObject(cluster.client, resources.configMaps, { namespace, name })).data.get("root-cert.pem");
  await until("ours are there", async () => (await rootsIn()) === site.servingRootsPem["east"]);
  await until("it is counted", async () => (await overwritten()) === before + 1);
  await until("an Event says so", async () => (await eventsAbout(namespace)).includes("TrustOverwritten"));
  const told = agent.log
    .of("foreign trust overwritten")
    .filter(({ fields }) => fields["place"] === `${name} in ${namespace}`);
  assert.equal(told.length, 1);
});

async function overwritten(): Promise<number> {
  const metric = await agent.metrics.registry.getSingleMetric("espalier_agent_trust_overwritten_total")?.get();
  return metric?.values[0]?.value ?? 0;
}

/** The reasons of the Events about a namespace. */
async function eventsAbout(name: string): Promise<readonly string[]> {
  const query = { fieldSelector: `regarding.name=${name}` };
  const list = await stage.cluster.client.call({ verb: "GET", path: toPath(resources.events), query });
  return listAt(recordAt({ list }, "list"), "items").map(
    (event) => textAt(recordAt({ event }, "event"), "reason") ?? "",
  );
}

test("ten thousand connections that dribble or say nothing keep nobody from a certificate", async (t) => {
  const process = await stage.startProcess("flooded", stack.use(await buildImage()));
  const token = await stage.cluster.token(shop, "cart", { pod: "cart-1" });
  const csr = csrFor(idOf("shop", shop, "cart"));
  const once = async (): Promise<number> => {
    using workload = openWorkload(process.address, tlsOf(stage.site, "east"), "east");
    const begun = performance.now();
    assertIssued(await workload.ask({ token, csr }));
    return performance.now() - begun;
  };
  await once();
  const quiet = process.rss().now;
  const intents = stage.site.intents();

  const floodBegun = performance.now();
  const driver = fork(new URL("../support/slow-clients.ts", import.meta.url), [`${process.port}`, `${slow}`], {
    silent: true,
  });
  stack.defer(() => void driver.kill());
  const driven = { opened: 0 };
  driver.stdout?.on("data", (text: Buffer) => {
    driven.opened = Number(text.toString().trim().split("\n").at(-1));
  });
  const took: number[] = [];
  let connections = 0;
  while (driven.opened < slow) {
    took.push(await once());
    connections = Math.max(connections, await process.metric("espalier_agent_connections"));
    await delay(100);
  }
  const limited = await process.metric("espalier_agent_connections_limited");
  const { most } = process.rss();
  driver.kill();
  await until("they are gone", async () => (await process.metric("espalier_agent_connections")) < 10);
  const lines = process.daemon.lines.filter(({ event }) => event === "too much at the port");
  const lastedMs = performance.now() - floodBegun;
  t.diagnostic(
    JSON.stringify({
      quiet,
      most,
      connections,
      limited,
      lines: lines.length,
      slowest: Math.max(...took),
      asked: took.length,
    }),
  );

  assert.ok(took.length >= 5, `${took.length} were asked for meanwhile`);
  assert.ok(connections > 1_000 && connections <= openPort.connectionsMax + 1, `${connections} connections`);
  // The others have ended at a deadline of their own: that of the handshake, of the request, or of an idle connection.
  assert.ok(limited > 1_000 && limited < slow, `${limited} closed`);
  assert.ok(most < quiet + 250, `${most} MB`);
  assert.equal(stage.site.intents() - intents, took.length);
  // One in ten seconds.
  assert.ok(lines.length >= 1 && lines.length < 2 + lastedMs / 10_000, `${lines.length} lines`);
});

test("a VM renews by its certificate, and by nobody else's", async (t) => {
  const { cluster, clock } = stage;
  const vm = idOf("shop", shop, "vm");
  const first = async (name: string, namespace: string, account = "vm", pod?: string): Promise<Identity> => {
    const key = newKey();
    const token = await cluster.token(namespace, account, pod === undefined ? {} : { pod });
    return toIdentity(assertIssued(await ask({ token, csr: csrFor(idOf(name, namespace, account), key) })), key);
  };
  const own = await first("shop", shop);
  const renew = async (identity: Identity, options: AskOptions = {}): Promise<Answer> =>
    await ask({ token: undefined, csr: csrFor(vm), ...options }, identity);
  assertIssued(await renew(own));

  const foreign = await first("bank", bank);
  await t.test("of another tenant, for this one's name", async () => {
    await refused("identity-denied", "issuer", async () => await renew(foreign));
  });
  await t.test("of another tenant, that asks for this one as its signer", async () => {
    await refused("signer-denied", "issuer", async () => await renew(foreign, { metadata: { CertSigner: "shop" } }));
  });
  await t.test("of another tenant, for its own name: it may", async () => {
    assertIssued(await renew(foreign, { csr: csrFor(idOf("bank", bank, "vm")) }));
  });
  await t.test("of a tenant whose rule takes no certificates", async () => {
    const its = await first("kiosk", kiosk);
    await refused(
      "proof-not-accepted",
      "issuer",
      async () => await renew(its, { csr: csrFor(idOf("kiosk", kiosk, "vm")) }),
    );
  });
  await t.test("a pod's", async () => {
    const its = await first("shop", shop, "cart", "cart-1");
    const csr = csrFor(idOf("shop", shop, "cart"));
    await refused("proof-invalid", "issuer", async () => await renew(its, { csr }));
  });
  await t.test("for other workloads of its node", async () => {
    const metadata = { CertSigner: "", ImpersonatedIdentity: vm };
    await refused("impersonation-refused", "agent", async () => await renew(own, { metadata }));
  });
  await t.test("of an authority that nobody here has made", async () => {
    const key = newKey();
    const authority = await makeAuthority("P-256", { notBefore: ago(7_200), notAfter: ago(-86_400) });
    const times = { notBefore: ago(120), notAfter: ago(-3_600) };
    const leaf = await makeLeaf(authority, { names: { uri: vm, dns: [] }, spki: key.spki, ...times });
    const chainPem = [leaf, authority.certificate].map((der) => toPem("CERTIFICATE", der)).join("");
    await refused("proof-missing", "agent", async () => await renew({ chainPem, keyPem: key.keyPem }));
  });
  await t.test("once it has expired, with the token that it began with too", async () => {
    const token = await cluster.token(shop, "vm", {});
    // The agent's own certificates are over too at that time, and are renewed: that is no trace of these.
    await moved(clock, 90_000, async () => {
      for (const options of [{}, { token }]) {
        const traced = { site: stage.site, issuer: stage.issuer, agent: () => agent };
        const [earlier, intents] = [await traces(traced), stage.site.intents()];
        assertRefused(await renew(own, options), "proof-invalid", /expired/);
        await assertRefusal(traced, earlier, "proof-invalid", "agent");
        assert.equal(stage.site.intents(), intents);
      }
    });
  });
  await t.test("of an authority that is retired", async () => {
    await retire("bank");
    await until("the issuer is back", async () => "chain" in (await renew(own)));
    const before = stage.site.intents();
    assertRefused(await renew(foreign, { csr: csrFor(idOf("bank", bank, "vm")) }), "proof-invalid", /not in force/);
    assert.equal(stage.site.intents(), before);
  });
});

/** No verb does it yet: the row, while no issuer runs. The next one makes the tenant another authority. */
async function retire(name: string): Promise<void> {
  const { issuer, site, clock } = stage;
  await issuer[Symbol.asyncDispose]();
  using database = new DatabaseSync(site.databasePath);
  const { changes } = database
    .prepare("UPDATE authorities SET state = 'retired' WHERE kind = 'tenant' AND owner = ? AND state = 'active'")
    .run(name);
  assert.equal(changes, 1);
  stack.use(await startIssuerOn(site, { clock, listen: issuer.address }));
}
