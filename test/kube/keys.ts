/**
 * A real API server changes the key it signs service-account tokens with, under two hubs: one fetches the keys from it, to the other
 * its agent proposes them. `KUBECONFIG=… node --test test/kube/keys.ts`, where the API server is a process of this machine: it is
 * started again with other keys, twice, and at the end as it was.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createObject } from "../../src/kube/objects.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { toCsr } from "../../src/pki/request.ts";
import { readDocuments } from "../../src/resources/read.ts";
import { readJwks } from "../../src/token/jwk.ts";
import { until } from "../contract/kube-setting.ts";
import { espalier } from "../ctl/stage.ts";
import { clusterDocument, document } from "../support/documents.ts";
import { kubeconfigOf, openRealCluster, type RealCluster, writeKubeconfig } from "../support/kube-cluster.ts";
import { findServer, restart, type ServerProcess } from "../support/kube-process.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type AgentStack, type IssuerStack, startAgentOf, startIssuerOn } from "../support/stack.ts";
import { joinHub } from "../support/thief.ts";
import { type Answer, assertIssued, assertRefused, csrFor, newKey, openWorkload, tlsOf } from "../support/workload.ts";

const path = kubeconfigOf(process.env);

const run = randomUUID().slice(0, 6);
const shop = `shop-${run}`;
const stack = new AsyncDisposableStack();
const audience = "espalier:hub.example";
/** Agent and hub look again each minute; who asks all that time takes it from them. */
const [followedMs, pauseMs] = [150_000, 2_000];

interface Hub {
  readonly system: string;
  readonly site: Site;
  readonly issuer: IssuerStack;
  readonly agent: AgentStack;
}

let cluster: RealCluster;
let server: ServerProcess | undefined;
let asItWas: readonly string[] = [];
let fetching: Hub;
let proposing: Hub;
let oldToken = "";
let newToken = "";

before(async () => {
  cluster = stack.use(await openRealCluster(path));
  server = findServer(cluster.access.server.port);
  if (server === undefined) return;
  asItWas = server.command;
  await cluster.namespace(shop);
  await cluster.account(shop, "cart");
  await cluster.pod(shop, "cart-1", "cart", "node-1");
  await publishKeys();
  fetching = await openHub("url", { url: new URL("/openid/v1/jwks", cluster.access.server).href });
  proposing = await openHub("proposed", { proposed: "approved" });
});

after(async () => {
  try {
    // The keys it has now lie in a folder that goes.
    if (server !== undefined) await restart({ ...server, command: asItWas }, cluster.access);
  } finally {
    await stack.disposeAsync();
  }
});

/** A hub with an agent of this cluster, and that agent's namespace. */
async function openHub(kind: string, keys: object): Promise<Hub> {
  const system = `espalier-${kind}-${run}`;
  await cluster.namespace(system);
  await cluster.account(system, "espalier-agent");
  await cluster.pod(system, "agent-0", "espalier-agent", "node-1");
  const rules = [{ name: "pods", clusters: ["east"], namespaces: [shop] }];
  const documents = [
    document("TrustRoot", "main", {}),
    // One token asks again and again here until the keys have changed.
    document("MeshTenant", "shop", {
      trustDomain: "shop.example",
      root: "main",
      rules,
      quotas: { perTokenHour: 100_000 },
    }),
    clusterDocument("east", {
      tokens: { issuer: cluster.issuer, keys },
      agent: { namespace: system, serviceAccount: "espalier-agent" },
    }),
  ];
  const site = stack.use(await makeSite({ documents, serving: ["east"] }));
  const issuer = stack.use(await startIssuerOn(site));
  const put = (name: string, text: string): string => {
    const file = join(site.directory, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const tokenFile = put("token", await cluster.token(system, "espalier-agent", { audience, pod: "agent-0" }));
  const joining =
    kind === "url"
      ? {}
      : { joinTokenFile: put("join-token", await issuer.joinToken("east", thumbprints(cluster.jwks)[0] ?? "")) };
  const kubernetes = agentSchema.shape.kubernetes.parse({
    kubeconfig: writeKubeconfig(site.directory, cluster.access),
    namespace: system,
    rootConfigMap: `roots-${run}`,
    namespaceSelector: { mesh: `none-${run}` },
    istiodSecret: "",
  });
  const agent = stack.use(
    await startAgentOf(site, "east", {
      issuers: [issuer.address],
      // Both from the API server, as in a pod.
      tokens: { issuer: cluster.issuer, jwksFile: undefined },
      config: { tokenFile, ...joining, ...(kubernetes === undefined ? {} : { kubernetes }) },
    }),
  );
  await agent.ready();
  return { system, site, issuer, agent };
}

/** What hosted clusters do: anybody may read the public keys. And the hub trusts who serves them. */
async function publishKeys(): Promise<void> {
  setDefaultCACertificates([...getCACertificates("default"), cluster.access.tls.ca ?? ""]);
  const group = "rbac.authorization.k8s.io";
  const kind = "ClusterRoleBinding";
  const bindings = { group, version: "v1", plural: "clusterrolebindings", kind, namespaced: false };
  const binding = {
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name: `keys-${run}` },
    roleRef: { apiGroup: group, kind: "ClusterRole", name: "system:service-account-issuer-discovery" },
    subjects: [{ apiGroup: group, kind: "Group", name: "system:unauthenticated" }],
  };
  await createObject(cluster.client, bindings, {}, binding);
}

/** Starts it again with these public keys, signing with that private one. */
async function restartWith(publicFiles: readonly string[], signingFile: string): Promise<void> {
  assert.ok(server);
  const [file = "", ...words] = server.command;
  const kept: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word.startsWith("--service-account-key-file") || word.startsWith("--service-account-signing-key-file"))
      at += word.includes("=") ? 0 : 1;
    else kept.push(word);
  }
  const keys = publicFiles.map((one) => `--service-account-key-file=${one}`);
  server = { ...server, command: [file, ...kept, ...keys, `--service-account-signing-key-file=${signingFile}`] };
  await restart(server, cluster.access);
}

async function ask({ agent, site }: Hub, token: string): Promise<Answer> {
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  return await workload.ask({ token, csr: csrFor(`spiffe://shop.example/ns/${shop}/sa/cart`) });
}

async function tokenOfCart(): Promise<string> {
  return await cluster.token(shop, "cart", { pod: "cart-1" });
}

/** Whether the hub lets the agent itself in with a token that the API server makes now. */
async function rejoin({ system, site, issuer }: Hub): Promise<void> {
  const token = await cluster.token(system, "espalier-agent", { audience, pod: "agent-0" });
  await joinHub(site, issuer.address, { cluster: "east", token, csr: toCsr({ privateKey: newKey().privateKey }) });
}

const thumbprints = (jwks: string): readonly string[] => readJwks(jwks).map(({ thumbprint }) => thumbprint);

async function shown(): Promise<string> {
  return JSON.stringify(await cluster.client.call({ verb: "GET", path: "/openid/v1/jwks" }));
}

/** The operator of the hub that is proposed to, by the command line. */
async function keys(...argv: readonly string[]): Promise<string> {
  const said = await espalier(["cluster", "keys", ...argv], proposing.site.config.adminSocket);
  assert.equal(said.code, 0, said.stderr);
  return said.stdout;
}

async function approve(): Promise<void> {
  const file = join(proposing.site.directory, "shown.json");
  writeFileSync(file, await shown());
  await keys("approve", "east", "--jwks", file, "--reason", "the API server's key changes");
}

async function pending(): Promise<readonly string[]> {
  const { proposal, keys: all }: { proposal: string; keys: { thumbprint: string; proposed: boolean }[] } = JSON.parse(
    await keys("list", "east", "-o", "json"),
  );
  return proposal === "pending"
    ? all
        .filter((key) => key.proposed)
        .map(({ thumbprint }) => thumbprint)
        .sort()
    : [];
}

async function followed(what: string, holds: () => Promise<boolean>): Promise<void> {
  await until(what, async () => (await holds()) || (await delay(pauseMs, false)), followedMs);
}

test("cluster add reads the API server's own issuer and keys", async () => {
  const { code, stdout, stderr } = await espalier(["cluster", "add", "east", "--from-kubeconfig", path]);
  assert.equal(code, 0, stderr);
  const east = readDocuments([{ path: "east.yaml", text: stdout }]).clusters.get("east");
  assert.equal(east?.tokens.issuer, cluster.issuer);
  assert.ok(east?.tokens.keys.kind === "static");
  assert.deepEqual(
    east.tokens.keys.keys.map(({ thumbprint }) => thumbprint),
    thumbprints(cluster.jwks),
  );
});

test("before the change a pod is served by both hubs, and an agent joins either", async (t) => {
  if (server === undefined) return t.skip("the API server is no process of this machine");
  oldToken = await tokenOfCart();
  for (const hub of [fetching, proposing]) {
    assertIssued(await ask(hub, oldToken));
    await rejoin(hub);
  }
  assert.deepEqual(await pending(), []);
});

test("the API server signs with a new key: fetched it counts by itself, proposed once it is approved", async (t) => {
  if (server === undefined) return t.skip("the API server is no process of this machine");
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [publicFile, privateFile] = ["new.pub", "new.key"].map((name) => join(fetching.site.directory, name));
  assert.ok(publicFile !== undefined && privateFile !== undefined);
  writeFileSync(publicFile, publicKey.export({ type: "spki", format: "pem" }));
  writeFileSync(privateFile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  await restartWith(["pki/sa.pub", publicFile], privateFile);
  assert.equal(thumbprints(await shown()).length, 2);
  newToken = await tokenOfCart();
  assert.notEqual(newToken.split(".")[0], oldToken.split(".")[0]);

  await followed("it is served where the keys are fetched", async () => "chain" in (await ask(fetching, newToken)));
  await rejoin(fetching);
  await followed("it is pending where they are proposed", async () => (await pending()).length > 0);
  assert.deepEqual(await pending(), [...thumbprints(await shown())].sort());
  // To be tried again: the agent knows the key, and the hub does not trust it yet.
  assertRefused(await ask(proposing, newToken), "unavailable");
  await assert.rejects(rejoin(proposing), { code: "proof-invalid" });
  for (const hub of [fetching, proposing]) assertIssued(await ask(hub, oldToken));

  await approve();
  assertIssued(await ask(proposing, newToken));
  await rejoin(proposing);
  assertIssued(await ask(proposing, oldToken));
});

test("the old key is taken away: nobody serves its tokens any more, once that is approved too", async (t) => {
  if (server === undefined) return t.skip("the API server is no process of this machine");
  const [publicFile, privateFile] = ["new.pub", "new.key"].map((name) => join(fetching.site.directory, name));
  await restartWith([publicFile ?? ""], privateFile ?? "");
  const only = thumbprints(await shown());
  assert.equal(only.length, 1);
  for (const hub of [fetching, proposing]) {
    // Where one of agent and hub looks before the other, it is to be tried again until both have.
    await followed("its token is refused", async () => {
      const answered = await ask(hub, oldToken);
      return "code" in answered && answered.code === "proof-invalid";
    });
    assertRefused(await ask(hub, oldToken), "proof-invalid");
    assertIssued(await ask(hub, newToken));
  }
  await followed("it is pending", async () => (await pending()).length > 0);
  assert.deepEqual(await pending(), only);
  await approve();
  assert.deepEqual(await pending(), []);
  assert.doesNotMatch(await keys("list", "east"), /RSA/);
  for (const hub of [fetching, proposing]) await rejoin(hub);
  await fetching.site.verify();
});
