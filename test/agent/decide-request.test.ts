import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { readCertificateRequest } from "../../src/agent/certificate-request.ts";
import { decideRequest, type Known, readDuration } from "../../src/agent/decide-request.ts";
import { type Step, toEnd } from "../../src/agent/request-step.ts";
import { readTenantIssuer } from "../../src/agent/tenant-issuer.ts";
import { Refusal } from "../../src/errors.ts";
import { certificateLabel, toPem } from "../../src/pki/pem.ts";
import { approved, certificateRequest, chartGuards } from "../support/certificate-requests.ts";
import { heard, shopTenant, shopTrust } from "../support/heard.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";

const csr = csrOf("DNS:a.shop.example");
const request = toRequest(csr);
const meta = { uid: "u", resourceVersion: "1" };
const issuer = readTenantIssuer("TenantIssuer", {
  metadata: { namespace: "shop", name: "shop", ...meta },
  spec: { tenant: "shop", profile: "request" },
});
const known: Known = {
  namespace: { namespace: "", name: "shop", ...meta, labels: new Map(), deletedAt: undefined },
  guards: chartGuards({}),
  issuer,
  ...heard(shopTrust),
};

function decide(spec: object = {}, status?: object, more: Partial<Known> = {}): Step {
  return decideRequest(readCertificateRequest(certificateRequest({ request, ...spec }, status)), { ...known, ...more });
}

function conditions(...all: readonly object[]): { readonly conditions: readonly object[] } {
  return { conditions: all };
}

const at = { reason: "x", message: "because", lastTransitionTime: "2026-11-21T10:11:12Z" };

test("an approved request of ours is signed, with all that it asks", () => {
  const step = decide({ duration: "2160h0m0s" });
  assert.ok(step.kind === "sign");
  assert.deepEqual(Buffer.from(step.der), Buffer.from(csr));
  assert.deepEqual([step.tenant, step.profile, step.validitySeconds], ["shop", "request", 7_776_000]);
});

test("without usages it has cert-manager's own", () => {
  const step = decide({ usages: [] });
  assert.deepEqual(step.kind === "sign" && step.usages, ["digital signature", "key encipherment"]);
});

const nothing: readonly (readonly [what: string, spec: object, status?: object])[] = [
  ["cert-manager's own group", { issuerRef: { kind: "TenantIssuer", name: "shop" } }],
  ["another group", { issuerRef: { group: "espalier.dev.evil", kind: "TenantIssuer", name: "shop" } }],
  ["another kind", { issuerRef: { group: "espalier.dev", kind: "Issuer", name: "shop" } }],
  ["no kind", { issuerRef: { group: "espalier.dev", name: "shop" } }],
  ["what nobody has approved", {}, conditions()],
  ["what is approved by halves", {}, conditions({ ...approved, status: "False" })],
  ["what is issued", {}, conditions(approved, { ...at, type: "Ready", status: "True", reason: "Issued" })],
  ["what has failed", {}, conditions(approved, { ...at, type: "Ready", status: "False", reason: "Failed" })],
  [
    "what was denied and told so",
    {},
    conditions({ ...at, type: "Denied", status: "True" }, { ...at, type: "Ready", status: "False", reason: "Denied" }),
  ],
];

const long = "0h".repeat(500_000);
for (const [what, spec, kind] of [
  ["CSR", { request: long }, "end"],
  ["duration", { duration: long }, "end"],
  ["list of usages", { usages: Array.from({ length: 50_000 }, () => "server auth") }, "sign"],
  ["issuer's name", { issuerRef: { group: "espalier.dev", kind: "TenantIssuer", name: long } }, "wait"],
] as const)
  test(`a ${what} that fills the object is not kept, and gets nothing`, () => {
    const read = readCertificateRequest(certificateRequest({ request, ...spec }));
    assert.ok(JSON.stringify(read).length < 10_000);
    const step = decideRequest(read, { ...known, issuer: kind === "wait" ? undefined : issuer });
    assert.equal(step.kind, kind);
    // A usage that no tenant gives.
    if (step.kind === "sign") assert.deepEqual(step.usages, ["too long"]);
  });

for (const [what, spec, status] of nothing)
  test(`nothing is done for ${what}`, () => assert.deepEqual(decide(spec, status), { kind: "none" }));

test("what is denied ends as denied, approved or not", () => {
  const denied = { ...at, type: "Denied", status: "True" };
  for (const status of [conditions(denied), conditions(approved, denied)]) {
    const step = decide({}, status);
    assert.ok(step.kind === "end" && step.reason === "Denied" && /because/.test(step.message));
  }
});

test("what somebody has found invalid fails", () => {
  const step = decide({}, conditions(approved, { ...at, type: "InvalidRequest", status: "True" }));
  assert.ok(step.kind === "end" && step.reason === "Failed" && step.invalid);
});

test("in a namespace that is not guarded a request fails, before anybody has approved it", () => {
  const guards = chartGuards({ validating: { failurePolicy: "Ignore" } });
  for (const status of [conditions(), conditions(approved), conditions({ ...at, type: "Denied", status: "True" })]) {
    const step = decide({}, status, { guards });
    assert.ok(step.kind === "end" && step.event === "NamespaceNotGuarded" && step.reason === "Failed");
  }
});

const waits: readonly (readonly [what: string, more: Partial<Known>, event: string, says: RegExp])[] = [
  ["an issuer that is not there", { issuer: undefined }, "IssuerNotFound", /no TenantIssuer "shop"/],
  ["a namespace that is not known yet", { namespace: undefined }, "NamespaceNotFound", /shop/],
  ["a hub that has not been heard of", heard(undefined), "IssuerNotReady", /hub/],
  [
    "a tenant that the hub does not know",
    heard({ ...shopTrust, tenants: [] }),
    "IssuerNotReady",
    /no MeshTenant "shop"/,
  ],
  [
    "a tenant that takes no requests",
    heard({ ...shopTrust, tenants: [{ ...shopTenant, requests: false }] }),
    "IssuerNotReady",
    /spec\.requests/,
  ],
  [
    "a suspended tenant",
    heard({ ...shopTrust, tenants: [{ ...shopTenant, suspended: true }] }),
    "IssuerNotReady",
    /suspended/,
  ],
  ["a suspended cluster", heard({ ...shopTrust, clusterSuspended: true }), "IssuerNotReady", /suspended/],
];

for (const [what, more, event, says] of waits)
  test(`it waits for ${what}`, () => {
    const step = decide({}, undefined, more);
    assert.ok(step.kind === "wait" && step.event === event, step.kind);
    assert.match(step.message, says);
  });

test("a cluster's issuer is for the namespaces that it names", () => {
  const of = (namespaces: readonly string[]): Step =>
    decide({ issuerRef: { group: "espalier.dev", kind: "TenantClusterIssuer", name: "all" } }, undefined, {
      issuer: readTenantIssuer("TenantClusterIssuer", {
        metadata: { name: "all", ...meta },
        spec: { tenant: "shop", namespaces },
      }),
    });
  for (const named of [["*"], ["a", "sh*"], ["shop"]]) assert.equal(of(named).kind, "sign");
  for (const named of [[], ["sho"], ["shop-*"], ["s*x"]]) {
    const step = of(named);
    assert.ok(step.kind === "end" && step.event === "IssuerNotForNamespace");
  }
});

const invalid: readonly (readonly [what: string, spec: object])[] = [
  ["a CSR of a megabyte", { request: "A".repeat(1024 * 1024) }],
  ["no CSR", { request: "" }],
  ["a certificate in its place", { request: Buffer.from(toPem(certificateLabel, csr)).toString("base64") }],
  ["two CSRs", { request: toRequest(csr, csr) }],
  ["a CSR that is cut", { request: toRequest(csr.subarray(0, 50)) }],
  ["a duration that is none", { duration: "-1h" }],
];

for (const [what, spec] of invalid)
  test(`${what} can never succeed`, () => {
    const step = decide(spec);
    assert.ok(step.kind === "end" && step.invalid && step.reason === "Failed", step.kind);
  });

test("Go's durations are read to the second", () => {
  for (const [text, seconds] of [
    ["", 0],
    ["1h0m0s", 3600],
    ["896h", 3_225_600],
    ["90s", 90],
    ["1h30m", 5400],
    ["10m0.5s", 600],
    ["0s", 0],
  ] as const)
    assert.equal(readDuration(text), seconds, text);
  for (const text of ["0h", "0.5s", "-5s", "1", "1d", "h", "9999999h", "1s1h", "99999999999s"])
    assert.throws(() => readDuration(text), Refusal, text);
});

test("a duration as Go writes it is its whole seconds, and whatever else is written is their sum or none", () => {
  const most = 2n ** 31n - 1n;
  const check = (text: string, seconds: bigint): void => {
    if (seconds >= 1n && seconds <= most) assert.equal(readDuration(text), Number(seconds), text);
    else assert.throws(() => readDuration(text), Refusal, text);
  };
  fc.assert(
    fc.property(fc.bigInt(1_000_000_000n, 2n ** 63n - 1n), fc.nat(2), (nanoseconds, less) => {
      const span = nanoseconds / 1_000_000n ** BigInt(less) + 1_000_000_000n;
      check(asGo(span), span / 1_000_000_000n);
    }),
    { numRuns: 1000 },
  );
  const part = fc.tuple(fc.oneof(fc.nat(99), fc.nat()), fc.constantFrom("h", "m", "s", "ms", "d", ".5s", "", "-1s"));
  const text = fc.oneof(
    fc.array(part, { maxLength: 4 }).map((parts) => parts.flat().join("")),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (said) => {
      let seconds: number;
      try {
        seconds = readDuration(said);
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "malformed", String(error));
        return;
      }
      const factors: Readonly<Record<string, bigint>> = { h: 3600n, m: 60n, s: 1n };
      const parts = [...said.matchAll(/([0-9]+)(?:[.][0-9]+)?([hms])/g)];
      assert.equal(parts.map(([whole]) => whole).join(""), said);
      const sum = parts.reduce((total, [, count = "", unit = ""]) => total + BigInt(count) * (factors[unit] ?? 0n), 0n);
      assert.equal(BigInt(seconds), sum, said);
    }),
    { numRuns: 1000 },
  );
});

/** time.Duration's String, of a second or more, in nanoseconds. */
function asGo(span: bigint): string {
  const [seconds, fraction] = [span / 1_000_000_000n, span % 1_000_000_000n];
  const [hours, minutes] = [seconds / 3600n, (seconds / 60n) % 60n];
  const rest = fraction === 0n ? "" : `.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
  const larger = hours > 0n ? `${hours}h${minutes}m` : minutes > 0n ? `${minutes}m` : "";
  return `${larger}${seconds % 60n}${rest}s`;
}

test("outages are asked again, and nothing else", () => {
  for (const code of ["unavailable", "overloaded", "quota", "internal"] as const)
    assert.equal(toEnd(new Refusal(code, "x")), undefined, code);
  for (const code of ["no-rule", "request-denied", "identity-denied", "replay-differs", "proof-not-accepted"] as const)
    assert.deepEqual(toEnd(new Refusal(code, "x"))?.invalid, false, code);
  for (const code of ["malformed", "csr-key", "csr-signature"] as const)
    assert.equal(toEnd(new Refusal(code, "x"))?.invalid, true, code);
});
