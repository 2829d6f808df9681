/**
 * cert-manager's own controllers and webhook, and an agent of ours: `test/cert-manager/run`. Who should get something gets it; who should
 * not is told why, in the words that docs/cert-manager.md has.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ApiError } from "../../src/kube/api-error.ts";
import { readConditions } from "../../src/kube/condition.ts";
import { listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { deleteObject, getObject, mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { eventsOf } from "../support/kube-events.ts";
import type { AgentProcess } from "../support/kube-site.ts";
import { csrOf, longCsr, toRequest } from "../support/named-csr.ts";
import { eventually } from "../support/patience.ts";
import { openThief } from "../support/thief.ts";
import { approverTests } from "./approver.ts";
import { type Case, cases } from "./conformance.ts";
import { delegatedTests } from "./delegated.ts";
import { explains } from "./explaining.ts";
import { testIstioCsr } from "./istio-csr.ts";
import { intendedByUid } from "./ledger.ts";
import {
  becomes,
  certificates,
  clusterIssuer,
  firstRequestBecomes,
  makeCertificate,
  makeIssuer,
  makeRequest,
  ownIssuer,
  type Place,
  ready,
  setGuarded,
  verdict,
} from "./objects.ts";
import { outageTests } from "./outages.ts";
import { type CertManagerStage, openStage } from "./stage.ts";

const stack = new AsyncDisposableStack();
let stage: CertManagerStage;
let agent: AgentProcess;

before(async () => {
  stage = stack.use(await openStage());
  agent = await stage.startAgent("first");
});

after(async () => await stack.disposeAsync());

/** What a TenantIssuer or TenantClusterIssuer says of itself. */
async function readiness(kind: "TenantIssuer" | "TenantClusterIssuer", name: string, namespace?: string) {
  const resource = kind === "TenantIssuer" ? resources.tenantIssuers : resources.tenantClusterIssuers;
  const object = await getObject(stage.site.cluster.client, resource, { name, ...(namespace && { namespace }) });
  return readConditions(recordAt(object, "status")).get("Ready");
}

/** Until its Events say this. */
async function told(place: Place, wanted: readonly string[]): Promise<void> {
  const { client } = stage.site.cluster;
  await eventually(async () => assert.deepEqual(await eventsOf(client, resources.certificateRequests, place), wanted));
}

test("an agent that starts before there are definitions takes them up when they come", async () => {
  await agent.ready();
  await agent.daemon.event("not served yet");
  stage.applyDefinitions();
  await agent.daemon.event("serving CertificateRequests");
});

test("issuers say whether certificates can be had through them, and what to do", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  await makeIssuer(client, clusterIssuer, { tenant: "shop", namespaces: [names.shop, names.till, names.nobody] });
  await makeIssuer(client, ownIssuer, { tenant: "shop" }, names.shop);
  await makeIssuer(client, { ...ownIssuer, name: "unknown" }, { tenant: "nobody" }, names.shop);
  await makeIssuer(client, { ...ownIssuer, name: "theirs" }, { tenant: "media" }, names.shop);
  await makeIssuer(client, { ...ownIssuer, name: "alone" }, { tenant: "alone" }, names.alone);
  await eventually(async () => assert.equal((await readiness("TenantClusterIssuer", "shop"))?.status, "True"));
  await eventually(async () =>
    assert.equal((await readiness("TenantIssuer", "own", names.shop))?.observedGeneration, 1),
  );
  const unknown = await eventually(async () => {
    const found = await readiness("TenantIssuer", "unknown", names.shop);
    assert.equal(found?.reason, "TenantNotFound");
    return found;
  });
  assert.match(unknown.message, /MeshTenant "nobody"/);
  const eventsOfOwn = async (name: string): Promise<readonly string[]> =>
    await eventsOf(client, resources.tenantIssuers, { namespace: names.shop, name });
  await eventually(async () => {
    assert.deepEqual(await eventsOfOwn("own"), ["Normal Ready"]);
    assert.deepEqual(await eventsOfOwn("unknown"), ["Warning TenantNotFound"]);
  });
  // The API server judges what an issuer may say.
  await assert.rejects(makeIssuer(client, { ...ownIssuer, name: "bad" }, { tenant: "A/B" }, names.shop), ApiError);
  await assert.rejects(makeIssuer(client, { ...clusterIssuer, name: "bad" }, { tenant: "shop" }), ApiError);
});

test("a Certificate is Ready through an issuer of the cluster, and of its own namespace", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  for (const issuerRef of [clusterIssuer, ownIssuer]) {
    const place = { namespace: names.shop, name: `web-${issuerRef.name}` };
    await makeCertificate(client, place, { issuerRef, dnsNames: ["shop.example", `web.${names.shop}.svc`] });
    const { leaf, chain } = await ready(client, place);
    assert.equal(leaf.subjectAltName, `DNS:shop.example, DNS:web.${names.shop}.svc`);
    assert.equal(chain.length, 2);
  }
  assert.match(
    stage.kubectl(["get", "tenantissuers,tenantclusterissuers", "-n", names.shop]),
    /tenantissuer.*\/own +shop +True/,
  );
  const issued = String.raw`espalier_agent_issued_total\{[^}]*profile="request"[^}]*\}`;
  assert.equal(await agent.metric(issued), 2);
});

test("a SPIFFE ID of the namespace is given, where the tenant gives requests identities", async () => {
  const { names, site } = stage;
  const place = { namespace: names.shop, name: "identity" };
  const uri = `spiffe://shop.example/ns/${names.shop}/sa/web`;
  const usages = ["digital signature", "server auth", "client auth"];
  await makeCertificate(site.cluster.client, place, { uris: [uri], usages });
  const { leaf } = await ready(site.cluster.client, place);
  assert.equal(leaf.subjectAltName, `URI:${uri}`);
});

test("who asked is whom the webhook has seen, whatever the request and its annotations say", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const place = { namespace: names.shop, name: "forged-user" };
  const forged = { username: "system:serviceaccount:istio-system:istiod", groups: ["system:masters", "forged"] };
  await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")), ...forged });
  const { uid } = await becomes(client, place, "Issued");
  const { request } = intendedByUid(site.site.databasePath).get(uid) ?? {};
  const who = stage.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
  assert.equal(request?.["username"], who);
  assert.equal(request?.["object"], `${names.shop}/forged-user`);
  assert.ok(!JSON.stringify(request).includes('forged"'));
});

test("of the groups of who asked, the ledger has the first 64", async () => {
  const { names, site } = stage;
  const groups = Array.from({ length: 70 }, (_, at) => `team-${at}`);
  const as = ["--as=alice", ...[...groups, "system:masters"].map((group) => `--as-group=${group}`)];
  const place = { namespace: names.shop, name: "many-groups" };
  const spec = { issuerRef: clusterIssuer, request: toRequest(csrOf("DNS:shop.example")), usages: ["server auth"] };
  const body = { apiVersion: "cert-manager.io/v1", kind: "CertificateRequest", metadata: place, spec };
  stage.kubectl(["create", ...as, "-f", "-"], JSON.stringify(body));
  const { uid } = await becomes(site.cluster.client, place, "Issued");
  const { request } = intendedByUid(site.site.databasePath).get(uid) ?? {};
  assert.deepEqual([request?.["username"], request?.["groups"]], ["alice", groups.slice(0, 64)]);
});

test("a request of the longest name is issued, and its events say so", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const place = { namespace: names.shop, name: "n".repeat(253) };
  await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
  await becomes(client, place, "Issued");
  await told(place, ["Normal CertificateIssued"]);
});

test("an issuer that is edited is judged anew, and so is who asks through it", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const edited = { namespace: names.shop, name: "edited" };
  const issuerRef = { ...ownIssuer, name: edited.name };
  const says = async (...wanted: readonly unknown[]): Promise<void> =>
    await eventually(async () => {
      const { status, reason, observedGeneration } = (await readiness("TenantIssuer", "edited", names.shop)) ?? {};
      assert.deepEqual([status, reason, observedGeneration], wanted);
    });
  const edit = async (tenant: string): Promise<unknown> =>
    await mergeObject(client, resources.tenantIssuers, edited, { spec: { tenant } });
  await makeIssuer(client, issuerRef, { tenant: "shop" }, names.shop);
  await says("True", "Ready", 1);
  await edit("nobody");
  await says("False", "TenantNotFound", 2);
  const wanted = ["Normal Ready", "Warning TenantNotFound"];
  await eventually(async () => assert.deepEqual(await eventsOf(client, resources.tenantIssuers, edited), wanted));

  const place = { namespace: names.shop, name: "by-edited" };
  await makeRequest(client, place, { issuerRef, request: toRequest(csrOf("DNS:shop.example")) });
  assert.match((await becomes(client, place, "Pending")).message, /^IssuerNotReady: .*MeshTenant "nobody"/);
  await edit("shop");
  await says("True", "Ready", 3);
  await becomes(client, place, "Issued");
});

test("the namespaces of a cluster's issuer are those that it names now", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const issuerRef = { ...clusterIssuer, name: "narrow" };
  const ask = async (namespace: string, name: string, reason: string): Promise<void> => {
    await makeRequest(client, { namespace, name }, { issuerRef, request: toRequest(csrOf("DNS:shop.example")) });
    const { message } = await becomes(client, { namespace, name }, reason);
    if (reason === "Failed") assert.match(message, /is not for namespace/);
  };
  await makeIssuer(client, issuerRef, { tenant: "shop", namespaces: [names.till] });
  await ask(names.shop, "narrow-early", "Failed");
  await ask(names.till, "narrow-early", "Issued");
  const spec = { namespaces: [names.shop] };
  await mergeObject(client, resources.tenantClusterIssuers, { name: "narrow" }, { spec });
  await eventually(async () => assert.equal((await readiness("TenantClusterIssuer", "narrow"))?.observedGeneration, 2));
  await ask(names.shop, "narrow-late", "Issued");
  await ask(names.till, "narrow-late", "Failed");
  // Of itself it says what it said.
  assert.deepEqual(await eventsOf(client, resources.tenantClusterIssuers, { name: "narrow" }), ["Normal Ready"]);
});

test("cert-manager's cases for issuers", async (t) => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const placeOf = ({ name, alone }: Case) => ({ namespace: alone ? names.alone : names.shop, name: `case-${name}` });
  for (const one of cases) {
    const issuerRef = one.alone ? { ...ownIssuer, name: "alone" } : clusterIssuer;
    await makeCertificate(client, placeOf(one), { issuerRef, duration: "24h", ...one.spec });
  }
  for (const one of cases) {
    const { says, change, outcome } = one;
    const place = placeOf(one);
    await t.test(says, async () => {
      if (typeof outcome === "function") {
        const first = await ready(client, place);
        if (change === undefined) return outcome(first, first);
        await mergeObject(client, certificates, place, { spec: change });
        return await eventually(async () => {
          const then = await ready(client, place);
          assert.notEqual(then.leaf.serialNumber, first.leaf.serialNumber);
          outcome(then, first);
        }, 60_000);
      }
      const { message, failureTime, hasCertificate } = await firstRequestBecomes(client, place, "Failed");
      assert.match(message, outcome);
      assert.ok(failureTime !== undefined && !hasCertificate);
    });
  }
});

test("a CA certificate is an Issuer's of cert-manager, and what that gives is the tenant's alone", async (t) => {
  await delegatedTests(t, stage);
});

test("who asks for what is not theirs", async (t) => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const intents = site.site.intents();
  const { shop, till, media, nobody } = names;
  const own = (name: string) => ({ ...ownIssuer, name });
  const signing = ["digital signature"];
  interface Spec extends Readonly<Record<string, unknown>> {
    /** As OpenSSL's `subjectAltName`. */
    readonly names: string;
  }
  const asked: readonly (readonly [what: string, namespace: string, spec: Spec, event: string, says: RegExp])[] = [
    [
      "another namespace's issuer",
      till,
      { issuerRef: own("own"), names: "DNS:shop.example" },
      "IssuerNotFound",
      /no TenantIssuer "own"/,
    ],
    [
      "another tenant",
      shop,
      { issuerRef: own("theirs"), names: "DNS:media.example" },
      "Refused",
      /no rule of MeshTenant "media".*no-rule/,
    ],
    [
      "an issuer that is not for the namespace",
      media,
      { names: "DNS:shop.example" },
      "IssuerNotForNamespace",
      /is not for namespace/,
    ],
    [
      "a namespace that has an issuer and no rule",
      nobody,
      { names: "DNS:shop.example" },
      "Refused",
      /no rule of MeshTenant "shop"/,
    ],
    ["another tenant's name", shop, { names: "DNS:media.example" }, "Refused", /spec\.requests\.dnsNames/],
    ["another namespace's service", shop, { names: `DNS:web.${till}.svc` }, "Refused", /spec\.requests\.dnsNames/],
    ["what istiod serves with", shop, { names: "DNS:istiod.istio-system.svc" }, "Refused", /dnsNames|serve with/],
    [
      "another namespace's SPIFFE ID",
      shop,
      { names: `URI:spiffe://shop.example/ns/${till}/sa/web`, usages: signing },
      "Refused",
      /identity-denied/,
    ],
    [
      "another trust domain's SPIFFE ID",
      shop,
      { names: `URI:spiffe://media.example/ns/${shop}/sa/web`, usages: signing },
      "Refused",
      /identity-denied/,
    ],
    ["a CA, of a tenant that shares its root", shop, { names: "DNS:shop.example", isCA: true }, "Refused", /isCA/],
    [
      "a CA, in a namespace that the tenant does not name",
      nobody,
      { issuerRef: own("alone"), names: "DNS:alone.example", isCA: true },
      "IssuerNotFound",
      /no TenantIssuer "alone"/,
    ],
    ["more time than there is", shop, { names: "DNS:shop.example", duration: "8760h" }, "Refused", /maximumSeconds/],
    [
      "ten thousand usages",
      shop,
      { names: "DNS:shop.example", usages: Array.from({ length: 10_000 }, () => "digital signature") },
      "Refused",
      /usage "too long"/,
    ],
  ];
  for (const [at, [what, namespace, { names: subjectAltName, ...spec }, event, says]] of asked.entries())
    await t.test(`${what}: ${event}`, async () => {
      const place = { namespace, name: `hostile-${at}` };
      const waits = event === "IssuerNotFound";
      await makeRequest(client, place, { request: toRequest(csrOf(subjectAltName)), ...spec });
      const found = await becomes(client, place, waits ? "Pending" : "Failed");
      assert.match(found.message, says);
      assert.ok(!found.hasCertificate && !found.invalid);
      assert.equal(found.failureTime === undefined, waits);
      await told(place, [`${waits ? "Normal" : "Warning"} ${event}`]);
    });

  await t.test("a CA smuggled in the CSR is refused by cert-manager's webhook, or by us", async () => {
    const request = toRequest(csrOf("DNS:shop.example", { extensions: ["basicConstraints=critical,CA:TRUE"] }));
    const place = { namespace: shop, name: "hostile-ca" };
    const made = await makeRequest(client, place, { request }).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof ApiError && /isCA/i.test(error.message), String(error));
        return false;
      },
    );
    if (made) assert.match((await becomes(client, place, "Failed")).message, /isCA/);
  });

  await t.test("a hundred and one names are never given: the request is invalid", async () => {
    const all = Array.from({ length: 101 }, (_, at) => `DNS:name-${at}.shop.example`).join();
    const place = { namespace: shop, name: "hostile-names" };
    await makeRequest(client, place, { request: toRequest(csrOf(all)) });
    const found = await becomes(client, place, "Failed");
    assert.match(found.message, /more than 100 names/);
    assert.ok(found.invalid && found.failureTime !== undefined);
    await told(place, ["Warning InvalidRequest"]);
  });

  await t.test("a duration of 200,000 characters is none", async () => {
    const place = { namespace: shop, name: "hostile-duration" };
    await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")), duration: "0h".repeat(100_000) });
    const found = await becomes(client, place, "Failed");
    assert.match(found.message, /the duration is not one/);
    assert.ok(found.invalid && !found.hasCertificate);
  });

  const makeLong = async (place: Place, bytes: number): Promise<void> =>
    await makeRequest(client, place, { request: toRequest(longCsr("shop.example", bytes)) });

  await t.test(
    "a CSR too long for cert-manager's webhook is not taken, and the longest that is, is invalid",
    async () => {
      // Its limit is 36,500 bytes of PEM.
      await assert.rejects(makeLong({ namespace: shop, name: "hostile-long" }, 30_000), /larger than the maximum/);
      const place = { namespace: shop, name: "hostile-fits" };
      await makeLong(place, 25_000);
      const found = await becomes(client, place, "Failed");
      assert.match(found.message, /longer than \d+ characters/);
      assert.ok(found.invalid && !found.hasCertificate && found.failureTime !== undefined);
    },
  );

  await t.test("where that webhook does not stand guard, the longest that etcd takes gets nothing", async () => {
    const place = { namespace: till, name: "hostile-longest" };
    await setGuarded(client, till, false);
    try {
      // An object of 1.5 MiB, in which this is base64 of base64.
      await eventually(async () => await makeLong(place, 850_000));
      // Whichever the agent has heard of first.
      assert.match((await becomes(client, place, "Failed")).message, /does not guard|longer than any that is read/);
      await deleteObject(client, resources.certificateRequests, place);
      await assert.rejects(makeLong(place, 1_000_000), ApiError);
    } finally {
      await setGuarded(client, till, true);
    }
  });

  await t.test("an approved request is not edited, nor its approval taken back", async () => {
    const place = { namespace: shop, name: "web-shop-1" };
    const edit = mergeObject(client, resources.certificateRequests, place, { spec: { isCA: true } });
    await assert.rejects(edit, ApiError);
    const taken = mergeObject(
      client,
      resources.certificateRequests,
      { ...place, subresource: "status" },
      { status: { conditions: [] } },
    );
    await assert.rejects(taken, ApiError);
  });

  await t.test("none of them left anything in the ledger", () => assert.equal(site.site.intents(), intents));
});

test("explain says of each what became of it, and why", async (t) => {
  await explains(t, stage);
});

test("what is denied is told so, and gets nothing", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  // cert-manager's approver would be first otherwise.
  stage.controller.pause();
  try {
    const place = { namespace: names.shop, name: "denied" };
    await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
    await delay(500);
    assert.equal((await verdict(client, place)).reason, "", "nobody has approved it");
    const denied = { type: "Denied", status: "True", reason: "test", message: "not today" };
    await mergeObject(
      client,
      resources.certificateRequests,
      { ...place, subresource: "status" },
      { status: { conditions: [denied] } },
    );
    const found = await becomes(client, place, "Denied");
    assert.match(found.message, /not today/);
    assert.ok(found.failureTime !== undefined && !found.hasCertificate);
    await told(place, ["Warning Denied"]);
  } finally {
    stage.controller.resume();
  }
});

test("a UID is one certificate: another CSR under it is refused, also when a stolen agent asks", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const place = { namespace: names.shop, name: "replay" };
  const csr = csrOf("DNS:shop.example");
  await makeRequest(client, place, { request: toRequest(csr) });
  const { uid } = await becomes(client, place, "Issued");
  const audience = "espalier:hub.example";
  const token = await site.cluster.token(site.system, "espalier-agent", { audience, pod: "agent-0" });
  using thief = await openThief(site.site, site.issuer.address, "east", { token });
  const spec = recordAt(await getObject(client, resources.certificateRequests, place), "spec");
  const request = {
    door: "certificate-request",
    namespace: names.shop,
    name: place.name,
    issuer: "TenantClusterIssuer/shop",
    profile: "request",
    username: textAt(spec, "username") ?? "",
    groups: listAt(spec, "groups").map(String),
    usages: listAt(spec, "usages").map(String),
  };
  const item = { csr, signer: "shop", idempotencyKey: uid, request };
  const intents = site.site.intents();
  assert.equal((await thief.sign(item)).refused?.code, undefined);
  const reply = await thief.sign({ ...item, csr: csrOf("DNS:shop.example") });
  assert.equal(site.site.intents(), intents);
  assert.equal(reply.refused?.code, "replay-differs");
});

test("in a namespace that the webhook does not guard a request fails, and stays failed when the guard is back", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  await setGuarded(client, names.till, false);
  try {
    const place = { namespace: names.till, name: "unguarded" };
    // As the API server has it a moment later.
    await delay(1_000);
    await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")), username: "system:admin" });
    const found = await becomes(client, place, "Failed");
    assert.match(found.message, /does not guard/);
    await told(place, ["Warning NamespaceNotGuarded"]);
    await setGuarded(client, names.till, true);
    await delay(500);
    assert.equal((await verdict(client, place)).reason, "Failed");
  } finally {
    await setGuarded(client, names.till, true);
  }
  const place = { namespace: names.till, name: "guarded" };
  await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
  await becomes(client, place, "Issued");
});

test("istio-csr's requests", async (t) => await testIstioCsr(t, stage));

test("an issuer that goes with requests open is waited for", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const gone = { ...ownIssuer, name: "later" };
  const place = { namespace: names.shop, name: "waits" };
  await makeRequest(client, place, { issuerRef: gone, request: toRequest(csrOf("DNS:shop.example")) });
  await becomes(client, place, "Pending");
  await makeIssuer(client, gone, { tenant: "nobody" }, names.shop);
  await eventually(async () =>
    assert.equal((await readiness("TenantIssuer", "later", names.shop))?.reason, "TenantNotFound"),
  );
  const says = async (what: RegExp): Promise<void> =>
    await eventually(async () => assert.match((await verdict(client, place)).message, what));
  await says(/^IssuerNotReady: /);
  await deleteObject(client, resources.tenantIssuers, { namespace: names.shop, name: "later" });
  await says(/^IssuerNotFound: /);
  await makeIssuer(client, gone, { tenant: "shop" }, names.shop);
  await becomes(client, place, "Issued");
});

test("a status that somebody else has written is ours in the end", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  stage.controller.pause();
  const place = { namespace: names.shop, name: "forged" };
  try {
    await makeRequest(client, place, { request: toRequest(csrOf("DNS:shop.example")) });
    const forged = Buffer.from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").toString("base64");
    await mergeObject(
      client,
      resources.certificateRequests,
      { ...place, subresource: "status" },
      { status: { certificate: forged } },
    );
  } finally {
    stage.controller.resume();
  }
  await becomes(client, place, "Issued");
  const status = recordAt(await getObject(client, resources.certificateRequests, place), "status");
  const pem = Buffer.from(textAt(status, "certificate") ?? "", "base64").toString("latin1");
  assert.equal(pem.match(/BEGIN CERTIFICATE/g)?.length, 2);
});

test("who may write the status is trusted: what they have ended is not signed, and stays as they left it", async () => {
  const { names, site } = stage;
  const { client } = site.cluster;
  const intents = site.site.intents();
  const request = toRequest(csrOf("DNS:shop.example"));
  const foreign = Buffer.from(String(site.site.servingRootsPem["east"])).toString("base64");
  const ends = [
    { status: "True", reason: "Issued", certificate: foreign },
    { status: "False", reason: "Failed", certificate: undefined },
  ];
  const placeOf = (name: string): Place => ({ namespace: names.shop, name: `ended-${name.toLowerCase()}` });
  stage.controller.pause();
  try {
    for (const { status, reason, certificate } of ends) {
      await makeRequest(client, placeOf(reason), { request });
      const message = "by a test";
      const approved = { type: "Approved", status: "True", reason: "test", message };
      const conditions = [approved, { type: "Ready", status, reason, message }];
      const one = { ...placeOf(reason), subresource: "status" } as const;
      await mergeObject(client, resources.certificateRequests, one, { status: { certificate, conditions } });
    }
  } finally {
    stage.controller.resume();
  }
  // What is asked for after them has its answer after them.
  await makeRequest(client, placeOf("later"), { request });
  await becomes(client, placeOf("later"), "Issued");
  for (const { reason, certificate } of ends) {
    const status = recordAt(await getObject(client, resources.certificateRequests, placeOf(reason)), "status");
    const { message } = readConditions(status).get("Ready") ?? {};
    assert.deepEqual([message, status["certificate"]], ["by a test", certificate]);
  }
  assert.equal(site.site.intents(), intents + 1);
});

approverTests(() => stage);
outageTests(() => ({ stage, agent }));
