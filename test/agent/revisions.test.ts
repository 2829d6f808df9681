import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { createObject, getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { clusterDocument, type Document, servingName, usualDocuments } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type AgentStack, type IssuerStack, startAgentOf, startIssuerOn } from "../support/stack.ts";

const servingNames = [servingName("east"), "istiod.istio-system.svc", "istiod-canary.istio-system.svc"];
const stack = new AsyncDisposableStack();
let api: MemoryApi;
let client: Client;
let site: Site;
let issuer: IssuerStack;
before(async () => {
  api = stack.use(await startMemoryApi());
  client = stack.use(openClient({ credentials: fixedCredentials(api.access) }));
  site = stack.use(await makeSite({ documents: documents(servingNames) }));
  issuer = stack.use(await startIssuerOn(site));
  for (const name of ["espalier-system", "istio-system", "istio-bank", "plain"]) await namespace(name);
  await namespace("marked", { "istio.io/rev": "next" });
});
after(async () => await stack.disposeAsync());

function documents(names: readonly string[]): readonly Document[] {
  const others = usualDocuments().filter((one) => JSON.stringify(one["metadata"]) !== '{"name":"east"}');
  return [...others, clusterDocument("east", { servingNames: names })];
}

async function namesOfIstiod(istiods: string): Promise<string | undefined> {
  const found = await getObject(client, resources.secrets, { namespace: istiods, name: "istiod-tls" });
  const chain = Buffer.from(textAt(recordAt(found, "data"), "tls.crt") ?? "", "base64").toString("utf8");
  return new X509Certificate(chain).subjectAltName;
}

async function namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
  await createObject(client, resources.namespaces, {}, body);
}

async function release(name: string, kubernetes: object): Promise<AgentStack> {
  const kubeconfig = writeKubeconfig(site.directory, api.access);
  // As a file would be read: what is not said is the default.
  const read = agentSchema.shape.kubernetes.parse({ kubeconfig, namespace: "espalier-system", name, ...kubernetes });
  return await startAgentOf(site, "east", { issuers: [issuer.address], config: { kubernetes: read } });
}

async function rootsIn(namespaceName: string, name = "istio-ca-root-cert"): Promise<string> {
  const found = await getObject(client, resources.configMaps, { namespace: namespaceName, name });
  return readConfigMap(found).data.get("root-cert.pem") ?? "";
}

function versions(): string {
  const found = ["v1/configmaps", "v1/secrets"].flatMap((collection) => api.store.list(collection));
  return JSON.stringify(found.map((one) => recordAt(one, "metadata")["resourceVersion"]));
}

/** Nobody writes what another one wrote. */
async function assertPeace(agents: readonly AgentStack[]): Promise<void> {
  // What is still to be done is; whoever fights goes on.
  await eventually(async () => {
    const before = versions();
    await delay(1_500);
    assert.equal(versions(), before);
  }, 20_000);
  for (const { log } of agents) {
    assert.deepEqual(log.of("foreign trust overwritten"), []);
    assert.deepEqual(log.of("trust conflict: istiod distributes its own root"), []);
  }
}

test("one agent gives each control plane what it needs, and does not fight itself", async () => {
  await using agent = await release("espalier-agent", {
    revisions: [
      { name: "canary" },
      { name: "bank", istiodNamespace: "istio-bank" },
      { name: "next", rootConfigMap: "roots-next", namespaceSelector: { "istio.io/rev": "next" } },
    ],
  });
  await agent.ready();
  const serving = site.servingRootsPem["east"] ?? "";
  await eventually(async () => assert.equal(await rootsIn("plain"), serving));
  for (const istiods of ["istio-system", "istio-bank"]) {
    await eventually(async () => {
      const roots = await rootsIn(istiods);
      assert.ok(roots.startsWith(serving) && roots.length > serving.length, `${istiods} has its tenants' roots too`);
    });
    const names = servingNames.map((name) => `DNS:${name}`).join(", ");
    await eventually(async () => assert.equal(await namesOfIstiod(istiods), names));
  }
  await eventually(async () => assert.equal(await rootsIn("marked", "roots-next"), serving));
  assert.ok(
    (await rootsIn("istio-system", "roots-next")).length > serving.length,
    "its istiod has it without the label",
  );
  await assert.rejects(rootsIn("plain", "roots-next"));
  await assertPeace([agent]);
  site.declare(documents([...servingNames, "istiod-bank.example"]));
  for (const istiods of ["istio-system", "istio-bank"])
    await eventually(async () => assert.match((await namesOfIstiod(istiods)) ?? "", /DNS:istiod-bank\.example$/));
});

test("two releases of different revisions in one cluster do not fight", async () => {
  await using first = await release("first", { rootConfigMap: "roots-first" });
  const canary = { rootConfigMap: "roots-canary", istiodSecret: "", namespaceSelector: { "istio.io/rev": "next" } };
  await using second = await release("second", canary);
  await Promise.all([first.ready(), second.ready()]);
  await eventually(async () =>
    assert.equal(await rootsIn("marked", "roots-first"), await rootsIn("marked", "roots-canary")),
  );
  await eventually(async () => assert.ok((await rootsIn("istio-system", "roots-canary")).length > 0));
  await eventually(async () => assert.ok((await rootsIn("istio-system", "roots-first")).length > 0));
  await assertPeace([first, second]);
});
