/**
 * A hub whose documents are objects of a real API server: `KUBECONFIG=… node --test test/kube/hub.ts`, with the rights of an
 * administrator. All objects of ours that are there are taken away first.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ApiError } from "../../src/kube/api-error.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { isRecord, type JsonRecord, listAt, recordAt } from "../../src/kube/json.ts";
import { kubeconfigCredentials } from "../../src/kube/kubeconfig.ts";
import { listItems } from "../../src/kube/list.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { createObject, deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { toApiResource } from "../../src/resources/crd.ts";
import type { Kind } from "../../src/resources/kind.ts";
import { kinds } from "../repo/crds.ts";
import { read as readText, tableBelow } from "../repo/sources.ts";
import { type Document, document, podToken, usualDocuments } from "../support/documents.ts";
import { kubeconfigOf, openRealCluster, writeKubeconfig } from "../support/kube-cluster.ts";
import { applyCrds } from "../support/kube-crds.ts";
import { eventually } from "../support/patience.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { assertIssued, assertRefused, csrFor } from "../support/workload.ts";

const kubeconfig = kubeconfigOf(process.env);
const client: Client = openClient({ credentials: await kubeconfigCredentials(kubeconfig) });
const account = { namespace: "default", name: `espalier-issuer-${randomUUID().slice(0, 6)}` };
const { name } = account;
let directory: string;
let stack: Stack;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "espalier-hub-"));
  await applyCrds(client);
  await clear();
  for (const one of usualDocuments()) await create(one);
  stack = await startStack({ config: { kubernetes: { kubeconfig: await kubeconfigWithRights() } } });
});
after(async () => {
  await stack[Symbol.asyncDispose]();
  await clear();
  await deleteObject(client, rbac("ClusterRoleBinding"), { name });
  await deleteObject(client, rbac("ClusterRole"), { name });
  await deleteObject(client, resources.serviceAccounts, account);
  rmSync(directory, { recursive: true });
  client[Symbol.dispose]();
});

function rbac(kind: "ClusterRole" | "ClusterRoleBinding"): Resource {
  return {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    plural: `${kind.toLowerCase()}s`,
    kind,
    namespaced: false,
  };
}

/** Of an account that has the rights in docs/kubernetes.md, and no others. */
async function kubeconfigWithRights(): Promise<string> {
  assert.ok(kubeconfig !== undefined);
  const rules = tableBelow(readText("docs/kubernetes.md"), "The hub's documents as objects").map(
    ([resources = "", verbs = ""]) => ({
      apiGroups: ["espalier.dev"],
      resources: resources.replaceAll("`", "").split(", "),
      verbs: verbs.split(", "),
    }),
  );
  const meta = { metadata: { name } };
  await createObject(client, resources.serviceAccounts, { namespace: account.namespace }, meta);
  await createObject(client, rbac("ClusterRole"), {}, { ...meta, rules });
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name };
  const subjects = [{ kind: "ServiceAccount", ...account }];
  await createObject(client, rbac("ClusterRoleBinding"), {}, { ...meta, roleRef, subjects });
  using cluster = await openRealCluster(kubeconfig);
  const token = await cluster.token(account.namespace, name, { audience: cluster.issuer });
  const { server, tls } = cluster.access;
  const { cert: _cert, key: _key, ...ours } = tls;
  return writeKubeconfig(directory, { server, tls: ours, token });
}

async function create(one: Document): Promise<void> {
  const kind = kinds.find((kind) => kind === one["kind"]);
  assert.ok(kind);
  await createObject(client, toApiResource(kind), {}, one);
}

async function clear(): Promise<void> {
  for (const kind of kinds) {
    const names: string[] = [];
    const onPage = (page: readonly string[]): void => void names.push(...page);
    const listing = { read: (item: unknown) => readMeta(item).name, onPage, onRestart: () => {} };
    await listItems(client, { resource: toApiResource(kind) }, {}, listing);
    for (const name of names) {
      await mergeObject(client, toApiResource(kind), { name }, { metadata: { finalizers: null } });
      await deleteObject(client, toApiResource(kind), { name }).catch(() => undefined);
    }
  }
}

async function conditionOf(kind: Kind, name: string, type: string): Promise<JsonRecord> {
  const object = await getObject(client, toApiResource(kind), { name });
  const conditions = listAt(recordAt(object, "status"), "conditions").filter(isRecord);
  return conditions.find((one) => one["type"] === type) ?? {};
}

async function assertCondition(kind: Kind, name: string, type: string, expected: object): Promise<JsonRecord> {
  return await eventually(async () => {
    const condition = await conditionOf(kind, name, type);
    for (const [key, value] of Object.entries(expected)) assert.equal(condition[key], value, JSON.stringify(condition));
    return condition;
  });
}

async function askAs(namespace: string, trustDomain: string) {
  using workload = await stack.workload("east");
  const csr = csrFor(`spiffe://${trustDomain}/ns/${namespace}/sa/web`);
  return await workload.ask({ token: podToken("east", { namespace, serviceAccount: "web" }), csr });
}

const meshTenants = toApiResource("MeshTenant");

test("a workload gets its certificate, and everything says that it is in force and ready", async () => {
  // What stands in files is not read.
  stack.site.declare([]);
  assertIssued(await askAs("pay-shop", "payments.example"));
  for (const [kind, name] of [
    ["TrustRoot", "main"],
    ["MeshTenant", "payments"],
    ["MeshCluster", "east"],
  ] as const) {
    await assertCondition(kind, name, "Accepted", { status: "True", reason: "InForce", observedGeneration: 1 });
    await assertCondition(kind, name, "Ready", { status: "True" });
  }
});

test("a new tenant is served once it is there, and suspended where its object says so", async () => {
  const rules = [{ name: "all", clusters: ["east"], namespaces: ["late"] }];
  await create(document("MeshTenant", "late", { trustDomain: "late.example", root: "main", rules }));
  await assertCondition("MeshTenant", "late", "Ready", { status: "True" });
  assertIssued(await askAs("late", "late.example"));
  await mergeObject(client, meshTenants, { name: "late" }, { spec: { suspended: true } });
  await assertCondition("MeshTenant", "late", "Ready", { status: "False", reason: "Suspended" });
  assertRefused(await askAs("late", "late.example"), "suspended");
  await deleteObject(client, meshTenants, { name: "late" });
  await eventually(async () => assertRefused(await askAs("late", "late.example"), "no-rule"));
});

test("an edit that does not hold together is told where it stands, and the last good state issues on", async () => {
  const rules = [{ name: "pods", clusters: ["east", "west"], namespaces: ["pay-*"] }];
  await mergeObject(client, meshTenants, { name: "media" }, { spec: { rules } });
  const { message } = await assertCondition("MeshTenant", "media", "Accepted", {
    status: "False",
    observedGeneration: 2,
  });
  assert.match(String(message), /generation 1 stays in force/);
  assertIssued(await askAs("pay-shop", "payments.example"));
  assertIssued(await askAs("media", "media.example"));
  rules[0] = { name: "pods", clusters: ["east"], namespaces: ["media"] };
  await mergeObject(client, meshTenants, { name: "media" }, { spec: { rules } });
  await assertCondition("MeshTenant", "media", "Accepted", { status: "True", observedGeneration: 3 });
});

test("a root and a cluster that a tenant names stay until it names them no more", async () => {
  await eventually(async () => {
    const { finalizers } = recordAt(
      await getObject(client, toApiResource("MeshCluster"), { name: "west" }),
      "metadata",
    );
    assert.deepEqual(finalizers, ["espalier.dev/in-use"]);
  });
  await deleteObject(client, toApiResource("MeshCluster"), { name: "west" });
  const { message } = await assertCondition("MeshCluster", "west", "Accepted", { status: "True", reason: "InUse" });
  assert.match(String(message), /payments/);
  assertIssued(await askAs("pay-shop", "payments.example"));
  const rules = [{ name: "pods", clusters: ["east"], namespaces: ["pay-*"] }];
  await mergeObject(client, meshTenants, { name: "payments" }, { spec: { rules } });
  await eventually(async () => {
    await assert.rejects(getObject(client, toApiResource("MeshCluster"), { name: "west" }), ApiError);
  });
  await assertCondition("MeshTenant", "payments", "Accepted", { status: "True", observedGeneration: 2 });
  assertIssued(await askAs("pay-shop", "payments.example"));
});

test("the issuer's own account cannot change what is declared of a tenant", async () => {
  const credentials = await kubeconfigCredentials(join(directory, "kubeconfig.json"));
  using thief = openClient({ credentials });
  await assert.rejects(
    mergeObject(thief, meshTenants, { name: "payments" }, { spec: { suspended: true } }),
    (error) => error instanceof ApiError && error.status === 403,
  );
  // Nor by the way of its status: the API server takes nothing else from there.
  await mergeObject(thief, meshTenants, { name: "payments", subresource: "status" }, { spec: { suspended: true } });
  assert.equal(recordAt(await getObject(client, meshTenants, { name: "payments" }), "spec")["suspended"], false);
});
