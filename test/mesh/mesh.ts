/**
 * A mesh of Istio's own programs over two clusters. test/mesh/run makes them and sets what is asked of the environment here. Each
 * refusal stands beside what the same Envoy or istiod takes.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../support/processes.ts";
import { csrFor, openWorkload } from "../support/stack.ts";
import { type Certificate, call, callWith, certificateAt, type Reply, startApplication, startServer } from "./ends.ts";
import { type Istiod, rotateEverySeconds, type Sidecar, startIstiod, startSidecar } from "./istio.ts";
import { declareCalling, declareServing, installDefinitions } from "./objects.ts";
import { openStage, ready, rootsIn, type Stage, secretOf, servingName, spiffeId, tokenOf, workloads } from "./stage.ts";
import { judgeZtunnels } from "./ztunnel.ts";

const { cart, till, vault, press } = workloads;
const stack = new AsyncDisposableStack();
const use = <T extends AsyncDisposable>(one: T): T => stack.use(one);
let stage: Stage;
let istiods: { readonly east: Istiod; readonly west: Istiod };
let cartSidecar: Sidecar;
let tillSidecar: Sidecar;
let pressAgent: Sidecar;

/** Where till's Envoy takes calls, and a server that serves with what a test gives it. */
let at: Readonly<Record<"till" | "server", number>>;
/** Where cart's Envoy takes its application's calls to till, to till where wages is expected, and to that server as if it were till. */
let cartCalls: Readonly<Record<"till" | "wages" | "server", number>>;
/** Where vault's Envoy takes calls to till. */
let vaultCalls: number;

before(async () => {
  stage = use(await openStage({ east: need("KUBECONFIG_EAST"), west: need("KUBECONFIG_WEST") }));
  const { east, west } = stage.clusters;
  await Promise.all([installDefinitions(east), installDefinitions(west)]);
  const application = use(await startApplication());
  at = { till: await freePort(), server: await freePort() };
  cartCalls = { till: await freePort(), wages: await freePort(), server: await freePort() };
  vaultCalls = await freePort();
  const expected = spiffeId(till);
  await declareServing(west, till.namespace, { port: at.till, application: application.port }, cart);
  await declareCalling(east, cart.namespace, [
    { name: "till.example", from: cartCalls.till, to: at.till, expected },
    { name: "wages.example", from: cartCalls.wages, to: at.till, expected: spiffeId({ ...till, account: "wages" }) },
    { name: "server.example", from: cartCalls.server, to: at.server, expected },
  ]);
  await declareCalling(east, vault.namespace, [{ name: "till.example", from: vaultCalls, to: at.till, expected }]);
  const [eastIstiod, westIstiod] = await Promise.all([startIstiod(stage, east), startIstiod(stage, west)]);
  istiods = { east: use(eastIstiod), west: use(westIstiod) };
  cartSidecar = use(await startSidecar(stage, cart, istiods.east, { name: "cart", env: rotateEverySeconds }));
  tillSidecar = use(await startSidecar(stage, till, istiods.west, { name: "till", env: rotateEverySeconds }));
  // Of another tenant, whose istiod is none of these: its agent only writes down what it gets.
  const alone = { DISABLE_ENVOY: "true", GRPC_XDS_BOOTSTRAP: "" };
  pressAgent = use(await startSidecar(stage, press, istiods.east, { name: "press", env: alone }));
  await tillSidecar.listens(at.till);
  await cartSidecar.listens(cartCalls.till);
  await pressAgent.await(() => certificateOf(pressAgent));
});

after(async () => await stack.disposeAsync());

test("istiod with its CA off serves with the certificate that the agent keeps, and signs nothing", async () => {
  for (const cluster of Object.values(stage.clusters)) {
    const { xds } = istiods[cluster.name];
    const secret = await secretOf(cluster, { namespace: "istio-system", name: "istiod-tls" });
    const rootsPem = await rootsIn(cluster, "shop");
    const served = await certificateAt(portOf(xds), rootsPem, servingName);
    assert.deepEqual(served, new X509Certificate(secret["tls.crt"] ?? "").raw);
    const who = cluster.name === "east" ? cart : till;
    const token = await tokenOf(cluster, who);
    const tls = { rootsPem, serverName: servingName };
    using istiod = openWorkload(xds, tls, cluster.name);
    using agent = openWorkload(cluster.agent, tls, cluster.name);
    assert.equal((await istiod.ask({ token, csr: csrFor(spiffeId(who)) })).status, "UNIMPLEMENTED");
    assert.equal((await agent.ask({ token, csr: csrFor(spiffeId(who)) })).status, "OK");
  }
});

test("istiod that starts before the agent has given it a certificate does not serve workloads", async () => {
  await using early = await startIstiod(stage, stage.clusters.east, { name: "early", mounted: false });
  const rootsPem = await rootsIn(stage.clusters.east, "shop");
  await assert.rejects(certificateAt(portOf(early.xds), rootsPem, servingName), { code: "ECONNREFUSED" });
});

test("the agents and istiod do not write over each other's roots", async () => {
  for (const cluster of Object.values(stage.clusters)) {
    await ready(cluster);
    const serving = stage.site.servingRootsPem[cluster.name] ?? "-";
    assert.equal(await rootsIn(cluster, "shop"), serving);
    const forIstiod = await rootsIn(cluster, "istio-system");
    assert.ok(forIstiod.startsWith(serving) && forIstiod.endsWith(certificateOf(cartSidecar).rootsPem));
  }
});

test("an application's call goes through two Envoys, and the second knows who called", async () => {
  assert.deepEqual(await call(cartCalls.till, "till.example"), { status: 200, body: spiffeId(cart) });
});

test("certificates rotate in both Envoys, and no call is lost meanwhile", async () => {
  const seen = { cart: new Set<string>(), till: new Set<string>() };
  const end = Date.now() + 60_000;
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
  const { rootsPem } = certificateOf(tillSidecar);
  const refused = /listener\..*ssl\.fail_verify_san$/;
  await t.test("cart's certificate is taken", async () => {
    const reply = await callWith(at.till, rootsPem, certificateOf(cartSidecar));
    assert.deepEqual(reply, { status: 200, body: spiffeId(cart) });
  });
  await t.test("press's is not, for its name alone: it verifies under the same root", async () => {
    const shown = certificateOf(pressAgent);
    assert.equal(shown.rootsPem, rootsPem);
    const before = await tillSidecar.count(refused);
    await assert.rejects(callWith(at.till, rootsPem, shown));
    assert.equal(await tillSidecar.count(refused), before + 1);
  });
  await t.test("till's own is, and its policy stops it: who calls is in the certificate", async () => {
    const before = await tillSidecar.count(refused);
    assert.equal((await callWith(at.till, rootsPem, certificateOf(tillSidecar))).status, 403);
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
    assert.equal((await serve(certificateOf(tillSidecar))).status, 200);
    assert.equal(await cartSidecar.count(refused("server.example")), 0);
  });
  await t.test("who serves with one of another trust domain is not", async () => {
    assert.equal((await serve(certificateOf(pressAgent))).status, 503);
    assert.ok((await cartSidecar.count(refused("server.example"))) > 0);
  });
});

test("a sidecar takes no configuration from an istiod of another cluster", async () => {
  const elsewhere = join(stage.folder("roots"), "west.pem");
  writeFileSync(elsewhere, await rootsIn(stage.clusters.west, "shop"));
  const env = { XDS_ROOT_CA: elsewhere };
  await using lost = await startSidecar(stage, cart, istiods.east, { name: "lost", log: "grpc:debug", env });
  await lost.await(() => assert.match(lost.log(), /certificate signed by unknown authority/));
  await lost.await(() => certificateOf(lost));
});

test("a VM shows istiod the certificate it got for its token, and needs no token any more", async (t) => {
  const env = rotateEverySeconds;
  const first = await startSidecar(stage, vault, istiods.east, { name: "vault", env });
  try {
    await first.await(() => certificateOf(first));
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
    await again.listens(vaultCalls);
    const before = await again.serial();
    await again.await(async () => assert.notEqual(await again.serial(), before));
    // till's Envoy takes it, and its policy stops it.
    assert.equal((await call(vaultCalls, "till.example")).status, 403);
  });
  await t.test("without it", async () => {
    await using bare = await startSidecar(stage, vault, istiods.east, { name: "vault-bare", token: false, env: told });
    await bare.await(() => assert.match(bare.log(), /Unauthenticated|authentication failure/));
  });
});

test("a client as strict as ztunnel gets the pods of its node", async () => {
  await judgeZtunnels(stage);
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

function portOf(address: string): number {
  return Number(address.split(":")[1]);
}

/** What pilot-agent has written last; sometimes without the newline at the end of the roots. */
function certificateOf({ certs }: Sidecar): Certificate {
  const read = (name: string): string => readFileSync(join(certs, name), "utf8");
  return {
    chainPem: read("cert-chain.pem"),
    keyPem: read("key.pem"),
    rootsPem: `${read("root-cert.pem").trimEnd()}\n`,
  };
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
