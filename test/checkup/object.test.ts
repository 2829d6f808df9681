/** What `explain certificaterequest` sees in a cluster: each row breaks one thing, and says what is told and what mends it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { certificateRequest as ofCertManager } from "../../src/checkup/certificate-request.ts";
import { type Finding, runChecks } from "../../src/checkup/checks.ts";
import { type AskHub, objectChecks, type Subject } from "../../src/checkup/object.ts";
import { signingRequest } from "../../src/checkup/signing-request.ts";
import { openView } from "../../src/checkup/view.ts";
import { approved, certificateRequest, chartWebhooks } from "../support/certificate-requests.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { reply, startMemoryApi } from "../support/kube-memory.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-explain-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const request = toRequest(csrOf("DNS:a.shop.example"));
const meta = (name: string, namespace?: string) => ({
  name,
  uid: `uid-${name}`,
  resourceVersion: "1",
  generation: 1,
  ...(namespace === undefined ? {} : { namespace }),
});
const ready = { type: "Ready", status: "True", reason: "Ready", message: "", observedGeneration: 1 };
const issuer = (condition: object = ready) => ({
  metadata: meta("shop", "shop"),
  spec: { tenant: "shop" },
  status: { conditions: [condition] },
});
const collections = {
  namespaces: "v1/namespaces",
  requests: "cert-manager.io/v1/certificaterequests",
  signing: "certificates.k8s.io/v1/certificatesigningrequests",
  issuers: "espalier.dev/v1alpha1/tenantissuers",
  clusterIssuers: "espalier.dev/v1alpha1/tenantclusterissuers",
  validating: "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
  mutating: "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
} as const;

type Objects = Map<string, object>;

/** A request that is approved, guarded and for an issuer that is ready. */
function usual(spec: object = {}, status?: object): Objects {
  const { validating, mutating } = chartWebhooks({});
  return new Map<string, object>([
    [`${collections.namespaces} shop`, { metadata: { ...meta("shop"), labels: {} } }],
    [`${collections.requests} shop/till-1`, certificateRequest({ request, ...spec }, status)],
    [`${collections.issuers} shop/shop`, issuer()],
    [`${collections.validating} cert-manager-webhook`, validating],
    [`${collections.mutating} cert-manager-webhook`, mutating],
  ]);
}

interface Options {
  readonly forbidden?: RegExp;
  readonly askHub?: AskHub;
  readonly subject?: Subject;
}

const granted: AskHub = async () => ({ state: "ok", says: "granted" });

async function explain(objects: Objects, options: Options = {}): Promise<readonly Finding[]> {
  const { forbidden, askHub = granted, subject = ofCertManager("shop", "till-1") } = options;
  await using api = await startMemoryApi();
  for (const [key, one] of objects) {
    const [collection = "", name = ""] = key.split(" ");
    api.store.write(collection, name, { ...one }, new Map());
  }
  api.intercept(({ path }, response) => {
    if (forbidden?.test(path) !== true) return false;
    reply(response, 403, { kind: "Status", code: 403, message: `${path} is forbidden` });
    return true;
  });
  const kubeconfig = writeKubeconfig(folder, api.access);
  using view = await openView({ kubeconfig, namespace: "x", name: "x", now: () => new Date() });
  return await runChecks(view, objectChecks(subject, askHub));
}

const states = (found: readonly Finding[]): readonly string[] => found.map(({ id, state }) => `${id} ${state}`);

test("what is asked of the hub is what the agent would ask, and nothing of it is shown", async () => {
  let asked: Parameters<AskHub>[0] | undefined;
  const found = await explain(usual({ duration: "1h" }), {
    askHub: async (item) => {
      asked = item;
      return await granted(item);
    },
  });
  assert.deepEqual(states(found), ["request ok", "status ok", "agent ok", "hub ok"]);
  assert.deepEqual([asked?.signer, asked?.validitySeconds, asked?.request.namespace], ["shop", 3600, "shop"]);
  assert.equal(asked?.request.issuer, "TenantIssuer/shop");
  const text = JSON.stringify(found);
  assert.match(text, /dns:a\.shop\.example/);
  assert.ok(!text.includes(request.slice(40, 80)) && !text.includes("BEGIN"), "the CSR is shown");
});

const failed = { type: "Ready", status: "False", reason: "Failed", message: "not given (request-denied)" };
const clusterRef = { issuerRef: { group: "espalier.dev", kind: "TenantClusterIssuer", name: "all" } };
const clusterIssuer = {
  metadata: meta("all"),
  spec: { tenant: "shop", namespaces: ["bank"] },
  status: { conditions: [ready] },
};

const rows: readonly (readonly [what: string, objects: () => Objects, id: string, says: RegExp, fix: RegExp])[] = [
  [
    "nobody has approved it",
    () => usual({}, { conditions: [] }),
    "agent",
    /nobody has approved it/,
    /cmctl approve till-1 -n shop.*CertificateRequestPolicy/,
  ],
  [
    "it was denied",
    () => usual({}, { conditions: [{ ...approved, type: "Denied", message: "not today" }] }),
    "agent",
    /the request was denied: not today/,
    /whoever denied it/,
  ],
  [
    "its issuer is of another kind",
    () => usual({ issuerRef: { group: "cert-manager.io", kind: "Issuer", name: "ca" } }),
    "request",
    /asks Issuer "ca" of the group cert-manager\.io, which is nothing of ours/,
    /group: espalier\.dev, kind: TenantIssuer/,
  ],
  [
    "its issuer is another namespace's",
    () => {
      const objects = usual();
      objects.delete(`${collections.issuers} shop/shop`);
      return objects.set(`${collections.issuers} bank/shop`, { ...issuer(), metadata: meta("shop", "bank") });
    },
    "agent",
    /no TenantIssuer "shop" that namespace "shop" could use/,
    /that of namespace bank is for its own alone: a TenantClusterIssuer/,
  ],
  [
    "its issuer is for other namespaces",
    () => usual(clusterRef).set(`${collections.clusterIssuers} all`, clusterIssuer),
    "agent",
    /is not for namespace "shop": its spec\.namespaces does not name it/,
    /TenantClusterIssuer whose spec\.namespaces names the namespace/,
  ],
  [
    "its tenant is not ready",
    () =>
      usual().set(
        `${collections.issuers} shop/shop`,
        issuer({ ...ready, status: "False", reason: "TenantNotFound", message: "the hub has no MeshTenant" }),
      ),
    "agent",
    /is not ready: the hub has no MeshTenant/,
    /kubectl describe that issuer/,
  ],
  [
    "no agent has looked at its issuer since it was changed",
    () => usual().set(`${collections.issuers} shop/shop`, issuer({ ...ready, observedGeneration: 0 })),
    "agent",
    /no agent of this cluster has looked at it/,
    /kubectl describe that issuer/,
  ],
  [
    "cert-manager's webhook does not guard the namespace",
    () =>
      usual().set(`${collections.namespaces} shop`, {
        metadata: { ...meta("shop"), labels: { "cert-manager.io/disable-validation": "true" } },
      }),
    "agent",
    /does not guard/,
    /disable-validation/,
  ],
  [
    "its CSR is none",
    () => usual({ request: Buffer.from("no CSR").toString("base64") }),
    "agent",
    /CSR|PEM/,
    /make another request/,
  ],
  [
    "it has failed, and would succeed now",
    () => usual({}, { conditions: [approved, failed], failureTime: "2026-11-21T10:11:12Z" }),
    "status",
    /Failed: not given \(request-denied\)/,
    /never taken up again/,
  ],
  ["the hub would refuse it", () => usual(), "hub", /not given/, /extend it/],
];

for (const [what, objects, id, says, fix] of rows)
  test(`${what}: that is told, and what to do`, async () => {
    const refused: AskHub = async () => ({ state: "fail", says: "not given", fix: "extend it" });
    const found = await explain(objects(), id === "hub" ? { askHub: refused } : {});
    const first = found.find(({ state }) => state === "fail");
    assert.equal(first?.id, id, JSON.stringify(found));
    assert.match(first.says, says);
    assert.match("fix" in first ? first.fix : "", fix);
  });

test("a request that has failed is judged anew for the one that comes after it", async () => {
  const found = await explain(usual({}, { conditions: [approved, failed], failureTime: "2026-11-21T10:11:12Z" }));
  assert.deepEqual(states(found), ["request ok", "status fail", "agent ok", "hub ok"]);
});

test("of one that has its certificate nothing more is said", async () => {
  const issued = { ...ready, reason: "Issued" };
  const found = await explain(usual({}, { conditions: [approved, issued], certificate: "eA==" }));
  assert.deepEqual(states(found), ["request ok", "status ok", "agent skipped", "hub skipped"]);
});

test("one that is not there", async () => {
  const found = await explain(new Map());
  assert.deepEqual(states(found), ["request fail", "status skipped", "agent skipped", "hub skipped"]);
});

test("what this account may not see is not guessed at", async () => {
  const found = await explain(usual(), { forbidden: /webhookconfigurations/ });
  assert.deepEqual(states(found), ["request ok", "status ok", "agent skipped", "hub skipped"]);
  assert.match(found.find(({ id }) => id === "agent")?.says ?? "", /403/);
});

const account = {
  username: "system:serviceaccount:shop:web",
  groups: ["system:serviceaccounts", "system:serviceaccounts:shop"],
};

/** A CertificateSigningRequest of a ServiceAccount of `shop`, for its own issuer. */
function signing(spec: object = {}, status: object = { conditions: [approved] }): Objects {
  return usual().set(`${collections.signing} web`, {
    metadata: meta("web"),
    spec: {
      signerName: "tenantissuers.espalier.dev/shop.shop",
      request,
      usages: ["digital signature", "server auth"],
      ...account,
      ...spec,
    },
    status,
  });
}

const explainSigning = async (objects: Objects, askHub?: AskHub): Promise<readonly Finding[]> =>
  await explain(objects, { subject: signingRequest("web"), ...(askHub && { askHub }) });

test("a CertificateSigningRequest is asked for as its agent would: for the namespace of the ServiceAccount that made it", async () => {
  let asked: Parameters<AskHub>[0] | undefined;
  const found = await explainSigning(signing({ expirationSeconds: 7200 }), async (item) => {
    asked = item;
    return await granted(item);
  });
  assert.deepEqual(states(found), ["request ok", "status ok", "agent ok", "hub ok"]);
  assert.deepEqual([asked?.request.door, asked?.request.namespace, asked?.validitySeconds], ["csr", "shop", 7200]);
});

const signingRows: readonly (readonly [what: string, objects: () => Objects, id: string, says: RegExp, fix: RegExp])[] =
  [
    [
      "nobody has approved it",
      () => signing({}, { conditions: [] }),
      "agent",
      /nobody has approved it/,
      /kubectl certificate approve web/,
    ],
    [
      "it was denied",
      () => signing({}, { conditions: [{ ...approved, type: "Denied", reason: "people", message: "not today" }] }),
      "status",
      /Denied: people: not today/,
      /never taken up again/,
    ],
    [
      "its signer is another",
      () => signing({ signerName: "kubernetes.io/kubelet-serving" }),
      "request",
      /kubernetes\.io\/kubelet-serving, which is nothing of ours/,
      /tenantclusterissuers\.espalier\.dev\/<name>/,
    ],
    [
      "no ServiceAccount has made it",
      () => signing({ username: "ada", groups: [] }),
      "agent",
      /"ada" is no ServiceAccount/,
      /--as system:serviceaccount/,
    ],
    [
      "its issuer is another namespace's",
      () => signing({ signerName: "tenantissuers.espalier.dev/bank.shop" }),
      "agent",
      /TenantIssuers of namespace "bank" are for that namespace alone/,
      /TenantClusterIssuer/,
    ],
    [
      "it has failed",
      () => signing({}, { conditions: [approved, { ...approved, type: "Failed", reason: "Refused", message: "no" }] }),
      "status",
      /Failed: Refused: no/,
      /never taken up again/,
    ],
  ];

for (const [what, objects, id, says, fix] of signingRows)
  test(`of a CertificateSigningRequest, ${what}: that is told, and what to do`, async () => {
    const found = await explainSigning(objects());
    const first = found.find(({ state }) => state === "fail");
    assert.equal(first?.id, id, JSON.stringify(found));
    assert.match(first.says, says);
    assert.match("fix" in first ? first.fix : "", fix);
  });

test("of a CertificateSigningRequest that has its certificate nothing more is said", async () => {
  const found = await explainSigning(signing({}, { conditions: [approved], certificate: "eA==" }));
  assert.deepEqual(states(found), ["request ok", "status ok", "agent skipped", "hub skipped"]);
});
