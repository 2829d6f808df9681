/**
 * A mesh of Istio's own programs over two clusters. test/mesh/run makes them and sets what is asked of the environment here. Each
 * refusal stands beside what the same Envoy or istiod takes.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { recordAt } from "../../src/kube/json.ts";
import { freePort } from "../support/processes.ts";
import { csrFor, openWorkload } from "../support/workload.ts";
import type { Rendered } from "./chart.ts";
import { type Certificate, call, callWith, certificateAt, type Reply, startApplication, startServer } from "./ends.ts";
import { inject } from "./inject.ts";
import { type Istiod, installIstiod, rotateEverySeconds, type Sidecar, startIstiod, startSidecar } from "./istio.ts";
import { rootsIn, secretOf, tokenOf } from "./kubelet.ts";
import { declareCalling, declareServing, installDefinitions } from "./objects.ts";
import { judgeRegistrar, signedFor, startRegistrar } from "./registrar.ts";
import { type ControlPlane, openStage, planes, ready, type Stage, spiffeId, workloads } from "./stage.ts";
import { judgeZtunnels } from "./ztunnel.ts";

const { cart, till, vault, press } = workloads;
const stack = new AsyncDisposableStack();
const use = <T extends AsyncDisposable>(one: T): T => stack.use(one);
let stage: Stage;
let rendered: Readonly<Record<keyof typeof planes, Rendered>>;
let istiods: Readonly<Record<keyof typeof planes, Istiod>>;
let cartSidecar: Sidecar;
let tillSidecar: Sidecar;
let pressSidecar: Sidecar;

/** Where till's Envoy takes calls, and a server that serves with what a test gives it. */
let at: Readonly<Record<"till" | "server", number>>;
/** Where cart's Envoy takes its application's calls to till, to till where wages is expected, and to that server as if it were till. */
let cartCalls: Readonly<Record<"till" | "wages" | "server", number>>;
/** Where the Envoys of vault and press take calls to till. */
let callsToTill: Readonly<Record<"vault" | "press", number>>;

before(async () => {
  stage = use(await openStage({ east: need("KUBECONFIG_EAST"), west: need("KUBECONFIG_WEST") }));
  const { east, west } = stage.clusters;
  await Promise.all([installDefinitions(east), installDefinitions(west)]);
  const application = use(await startApplication());
  at = { till: await freePort(), server: await freePort() };
  cartCalls = { till: await freePort(), wages: await freePort(), server: await freePort() };
  callsToTill = { vault: await freePort(), press: await freePort() };
  const expected = spiffeId(till);
  await declareServing(west, till.namespace, { port: at.till, application: application.port }, cart);
  await declareCalling(east, cart.namespace, [
    { name: "till.example", from: cartCalls.till, to: at.till, expected },
    { name: "wages.example", from: cartCalls.wages, to: at.till, expected: spiffeId({ ...till, account: "wages" }) },
    { name: "server.example", from: cartCalls.server, to: at.server, expected },
  ]);
  for (const name of ["vault", "press"] as const) {
    const { namespace } = workloads[name];
    await declareCalling(east, namespace, [{ name: "till.example", from: callsToTill[name], to: at.till, expected }]);
  }
  rendered = await forEachPlane(async (plane) => await installIstiod(stage, plane));
  istiods = await forEachPlane(async (plane, name) => use(await startIstiod(stage, plane, rendered[name])));
  cartSidecar = use(await startSidecar(stage, cart, istiods.east, { name: "cart", env: rotateEverySeconds }));
  tillSidecar = use(await startSidecar(stage, till, istiods.west, { name: "till", env: rotateEverySeconds }));
  pressSidecar = use(await startSidecar(stage, press, istiods.media, { name: "press" }));
  await tillSidecar.listens(at.till);
  await cartSidecar.listens(cartCalls.till);
  await pressSidecar.listens(callsToTill.press);
});

after(async () => await stack.disposeAsync());

test("istiod with its CA off serves with the certificate that the agent keeps, and signs nothing", async () => {
  const someone = { east: cart, west: till, media: press };
  for (const name of planeNames) {
    const [istiod, plane, who] = [istiods[name], planes[name], someone[name]];
    const cluster = stage.clusters[plane.cluster];
    const secret = await secretOf(cluster, { namespace: plane.namespace, name: "istiod-tls" });
    const rootsPem = await rootsIn(cluster, who.namespace);
    const served = await certificateAt(portOf(istiod.xds), rootsPem, istiod.servingName);
    assert.deepEqual(served, new X509Certificate(secret["tls.crt"] ?? "").raw);
    const token = await tokenOf(cluster, who);
    const tls = { rootsPem, serverName: istiod.servingName };
    using atIstiod = openWorkload(istiod.xds, tls, cluster.name);
    using atAgent = openWorkload(cluster.agent, tls, cluster.name);
    assert.equal((await atIstiod.ask({ token, csr: csrFor(spiffeId(who)) })).status, "UNIMPLEMENTED");
    assert.equal((await atAgent.ask({ token, csr: csrFor(spiffeId(who)) })).status, "OK");
  }
});

test("istiod that starts before the agent has given it a certificate does not serve workloads", async () => {
  const { east } = stage.clusters;
  await using early = await startIstiod(stage, planes.east, rendered.east, { name: "early", mounted: false });
  const served = certificateAt(portOf(early.xds), await rootsIn(east, "shop"), early.servingName);
  await assert.rejects(served, { code: "ECONNREFUSED" });
});

test("a pod that istiod injects asks the agent, and trusts what the agent distributed", async () => {
  const { env, volumes } = await inject(istiods.east, await rootsIn(stage.clusters.east, "shop"), cart);
  const { CA_ADDR, TRUST_DOMAIN, ISTIO_META_CLUSTER_ID, PILOT_CERT_PROVIDER } = env;
  assert.equal(CA_ADDR, "espalier-agent.espalier-system.svc:15012");
  assert.deepEqual([TRUST_DOMAIN, ISTIO_META_CLUSTER_ID, PILOT_CERT_PROVIDER], ["shop.example", "east", "istiod"]);
  assert.deepEqual(recordAt(volumes, "istiod-ca-cert")["configMap"], { name: "istio-ca-root-cert" });
  assert.match(JSON.stringify(volumes["istio-token"]), /"audience":"istio-ca"/);
});

test("the agents and istiod do not write over each other's roots", async () => {
  for (const cluster of Object.values(stage.clusters)) {
    await ready(cluster);
    const serving = stage.site.servingRootsPem[cluster.name] ?? "-";
    assert.equal(await rootsIn(cluster, "shop"), serving);
    const { rootsPem } = await certificateOf(cartSidecar);
    assert.equal(await rootsIn(cluster, "istio-system"), serving + rootsPem);
  }
});

test("an application's call goes through two Envoys, and the second knows who called", async () => {
  assert.deepEqual(await call(cartCalls.till, "till.example"), { status: 200, body: spiffeId(cart) });
});

test("certificates rotate in both Envoys, and no call is lost meanwhile", async () => {
  const seen = { cart: new Set<string>(), till: new Set<string>() };
  const end = Date.now() + 180_000;
  let count = 0;
  while (Math.min(seen.cart.size, seen.till.size) < 3 && Date.now() < end) {
    seen.cart.add(await cartSidecar.serial());
    seen.till.add(await tillSidecar.serial());
    assert.deepEqual(await call(cartCalls.till, "till.example"), { status: 200, body: spiffeId(cart) });
    count++;
    await delay(100);
  }
  assert.ok(
    Math.min(seen.cart.size, seen.till.size) >= 3,
    `${seen.cart.size} and ${seen.till.size} within ${count} calls`,
  );
});

test("till's Envoy takes callers of its own trust domain only", async (t) => {
  const { rootsPem } = await certificateOf(tillSidecar);
  const refused = /listener\..*ssl\.fail_verify_san$/;
  await t.test("cart's certificate is taken", async () => {
    const reply = await callWith(at.till, rootsPem, await certificateOf(cartSidecar));
    assert.deepEqual(reply, { status: 200, body: spiffeId(cart) });
  });
  await t.test("press's is not, for its name alone: it verifies under the same root", async () => {
    const shown = await certificateOf(pressSidecar);
    assert.equal(shown.rootsPem, rootsPem);
    const before = await tillSidecar.count(refused);
    await assert.rejects(callWith(at.till, rootsPem, shown));
    assert.equal(await tillSidecar.count(refused), before + 1);
  });
  await t.test("nor is press's Envoy, which would call", async () => {
    const before = await tillSidecar.count(refused);
    assert.equal((await call(callsToTill.press, "till.example")).status, 503);
    assert.ok((await tillSidecar.count(refused)) > before);
  });
  await t.test("till's own is, and its policy stops it: who calls is in the certificate", async () => {
    const before = await tillSidecar.count(refused);
    assert.equal((await callWith(at.till, rootsPem, await certificateOf(tillSidecar))).status, 403);
    assert.equal(await tillSidecar.count(refused), before);
  });
  await t.test("a certificate of cart's name under a root of one's own is not", async () => {
    const counter = /listener\..*ssl\.fail_verify_error$/;
    const before = await tillSidecar.count(counter);
    await assert.rejects(callWith(at.till, rootsPem, forge(spiffeId(cart))));
    assert.equal(await tillSidecar.count(counter), before + 1);
  });
  await t.test("nobody is taken without a certificate", async () => {
    const counter = /listener\..*ssl\.fail_verify_no_cert$/;
    const before = await tillSidecar.count(counter);
    await assert.rejects(callWith(at.till, rootsPem));
    assert.equal(await tillSidecar.count(counter), before + 1);
  });
});

test("cart's Envoy calls whom it expects, and nobody else", async (t) => {
  const refused = (host: string): RegExp => new RegExp(`cluster\\.outbound.*${host}.*ssl\\.fail_verify_san$`);
  const serve = async (certificate: Certificate): Promise<Reply> => {
    await using _ = await startServer(at.server, certificate);
    return await call(cartCalls.server, "server.example");
  };
  await t.test("till where wages is expected is not called", async () => {
    assert.equal((await call(cartCalls.wages, "wages.example")).status, 503);
    assert.ok((await cartSidecar.count(refused("wages.example"))) > 0);
  });
  await t.test("who serves with till's certificate is", async () => {
    assert.equal((await serve(await certificateOf(tillSidecar))).status, 200);
    assert.equal(await cartSidecar.count(refused("server.example")), 0);
  });
  await t.test("who serves with one of another trust domain is not", async () => {
    assert.equal((await serve(await certificateOf(pressSidecar))).status, 503);
    assert.ok((await cartSidecar.count(refused("server.example"))) > 0);
  });
});

test("a sidecar takes no configuration from an istiod of another cluster", async () => {
  const elsewhere = join(stage.folder("roots"), "west.pem");
  writeFileSync(elsewhere, await rootsIn(stage.clusters.west, "shop"));
  const env = { XDS_ROOT_CA: elsewhere };
  await using lost = await startSidecar(stage, cart, istiods.east, { name: "lost", log: "grpc:debug", env });
  await lost.await(() => assert.match(lost.log(), /certificate signed by unknown authority/));
  await certificateOf(lost);
});

test("a VM shows istiod the certificate it got for its token, and needs no token any more", async (t) => {
  const env = rotateEverySeconds;
  const first = await startSidecar(stage, vault, istiods.east, { name: "vault", env });
  try {
    await certificateOf(first);
  } finally {
    await first[Symbol.asyncDispose]();
  }
  // Once it has a certificate its workloads' roots are beside it, so it is told where the cluster's are.
  const roots = "./var/run/secrets/istio/root-cert.pem";
  const told = { ...env, CA_ROOT_CA: roots, XDS_ROOT_CA: roots };
  const without = { token: false, certs: first.certs };
  await t.test("with it", async () => {
    const shown = { ...told, PROV_CERT: first.certs };
    await using again = await startSidecar(stage, vault, istiods.east, { name: "vault-again", ...without, env: shown });
    await again.listens(callsToTill.vault);
    const before = await again.serial();
    await again.await(async () => assert.notEqual(await again.serial(), before));
    // till's Envoy takes it, and its policy stops it.
    assert.equal((await call(callsToTill.vault, "till.example")).status, 403);
  });
  await t.test("without it", async () => {
    await using bare = await startSidecar(stage, vault, istiods.east, { name: "vault-bare", token: false, env: told });
    await bare.await(() => assert.match(bare.log(), /xdsproxy.*Unauthenticated/));
  });
  await t.test("with another tenant's, which verifies under the same root", async () => {
    const env = { ...told, PROV_CERT: pressSidecar.certs };
    const options = { name: "press-elsewhere", token: false, log: "grpc:debug,xdsproxy:debug", env };
    await using elsewhere = await startSidecar(stage, press, istiods.east, options);
    await elsewhere.await(() => assert.match(elsewhere.log(), /remote error: tls: bad certificate/));
  });
});

test("a workload that has its certificate through an istiod as RA, and those that have it from the agent, take each other", async (t) => {
  const { rootsPem } = await certificateOf(tillSidecar);
  await using registrar = await startRegistrar(stage, rootsPem);
  // Its certificate is all that is wanted of it: another Envoy would take calls to till.
  const env = { CA_ADDR: registrar.xds, ISTIO_META_CERT_SIGNER: "shop", DISABLE_ENVOY: "true" };
  await using sidecar = await startSidecar(stage, till, registrar, { name: "till-by-ra", env });
  const got = await certificateOf(sidecar);
  assert.equal(got.rootsPem, rootsPem);
  await t.test("cart's Envoy calls who serves with it", async () => {
    await using _ = await startServer(at.server, got);
    assert.equal((await call(cartCalls.server, "server.example")).status, 200);
  });
  await t.test("till's Envoy takes it, and its policy stops it", async () => {
    assert.equal((await callWith(at.till, rootsPem, got)).status, 403);
  });
  await t.test(
    "who is not the signer's tenant's gets nothing, though istiod has authenticated and approved it",
    async () => {
      await judgeRegistrar(stage, registrar, till);
      assert.deepEqual([...signedFor(stage)], [`shop: ${spiffeId(till)} by requester:istio-ra/istiod-ra`]);
    },
  );
  await t.test("istiod leaves the cluster's roots alone", async () => {
    const { west } = stage.clusters;
    await ready(west);
    assert.equal(await rootsIn(west, "shop"), stage.site.servingRootsPem["west"]);
  });
});

test("a client as strict as ztunnel gets the pods of its node", async () => {
  await judgeZtunnels(stage);
});

test("an istiod whose CA is still on is noticed, and not fought", async () => {
  const { west } = stage.clusters;
  const env = { ENABLE_CA_SERVER: "true" };
  await using upgraded = await startIstiod(stage, planes.west, rendered.west, {
    name: "istiod-with-ca",
    mounted: false,
    env,
  });
  await upgraded.await(async () => {
    const answer = await fetch(`${west.http}/readyz`);
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /istio-ca-root-cert/);
  });
  // It writes one namespace after the other, and the first of them is told of.
  const theirs = await upgraded.await(async () => {
    const [roots, elsewhere] = [await rootsIn(west, "istio-system"), await rootsIn(west, "shop")];
    assert.ok(!roots.includes(stage.site.servingRootsPem["west"] ?? ""));
    assert.equal(elsewhere, roots);
    return roots;
  });
  await delay(1_000);
  for (const namespace of ["istio-system", "shop"]) assert.equal(await rootsIn(west, namespace), theirs);
});

test("all that was signed for it stands in the ledger", async () => {
  const reports = await stage.site.verify();
  assert.ok(reports.length > 0);
});

function need(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set: test/mesh/run sets it`);
  return value;
}

const planeNames = ["east", "west", "media"] as const;

/** All at once. */
async function forEachPlane<T>(
  work: (plane: ControlPlane, name: keyof typeof planes) => Promise<T>,
): Promise<Readonly<Record<keyof typeof planes, T>>> {
  const [east, west, media] = await Promise.all([
    work(planes.east, "east"),
    work(planes.west, "west"),
    work(planes.media, "media"),
  ]);
  return { east, west, media };
}

function portOf(address: string): number {
  return Number(address.split(":")[1]);
}

/** What pilot-agent has written last, once its files fit together; sometimes it leaves out the newline at the end of the roots. */
async function certificateOf(sidecar: Sidecar): Promise<Certificate> {
  const read = (name: string): string => readFileSync(join(sidecar.certs, name), "utf8");
  return await sidecar.await(() => {
    const [chainPem, keyPem] = [read("cert-chain.pem"), read("key.pem")];
    assert.ok(new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(keyPem)));
    return { chainPem, keyPem, rootsPem: `${read("root-cert.pem").trimEnd()}\n` };
  });
}

function forge(uri: string): Certificate {
  const directory = stage.folder("forged");
  const [key, certificate] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate];
  const named = ["-subj", "/O=mallory", "-addext", `subjectAltName=URI:${uri}`, "-days", "1"];
  execFileSync("openssl", ["req", "-x509", ...made, ...named], { stdio: "ignore" });
  const chainPem = readFileSync(certificate, "utf8");
  return { chainPem, keyPem: readFileSync(key, "utf8"), rootsPem: chainPem };
}
