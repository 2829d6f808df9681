/** The cases of cert-manager's own conformance suite for issuers, and what each comes to here. docs/cert-manager.md has the same table. */
import assert from "node:assert/strict";
import { readCertificate } from "../../src/pki/certificate.ts";
import { constraintsOf } from "../../src/pki/name-constraints.ts";
import type { Issued } from "./objects.ts";

export interface Case {
  readonly name: string;
  /** Of a Certificate. */
  readonly spec: object;
  /** Asked of tenant `alone`, which has a root of its own, and not of `shop`. */
  readonly alone?: true;
  /** What becomes different in it once it is Ready. */
  readonly change?: object;
  /** Looks at what was issued, and at what was before a change; or what a refusal says. */
  readonly outcome: ((issued: Issued, before: Issued) => void) | RegExp;
  /** For people, beside the name. */
  readonly says: string;
}

const dnsNames = ["shop.example"];
const key = (algorithm: string, more: object = {}) => ({ privateKey: { algorithm, ...more }, dnsNames });
const rsaIs =
  (bits: number) =>
  ({ leaf }: Issued) =>
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.modulusLength, bits);
const curveIs =
  (name: string) =>
  ({ leaf }: Issued) =>
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, name);
const namesAre =
  (text: string) =>
  ({ leaf }: Issued): void =>
    assert.equal(leaf.subjectAltName, text);
const subjectIs =
  (text: string | undefined) =>
  ({ leaf }: Issued): void =>
    assert.equal(leaf.subject, text);
const long = `${"a".repeat(63)}.shop.example`;

export const cases: readonly Case[] = [
  { name: "rsa", spec: key("RSA", { size: 2048 }), outcome: rsaIs(2048), says: "RSA of 2048 bits" },
  { name: "rsa-3072", spec: key("RSA", { size: 3072 }), outcome: rsaIs(3072), says: "RSA of 3072 bits" },
  { name: "rsa-4096", spec: key("RSA", { size: 4096 }), outcome: rsaIs(4096), says: "RSA of 4096 bits" },
  { name: "ecdsa-256", spec: key("ECDSA", { size: 256 }), outcome: curveIs("prime256v1"), says: "ECDSA with P-256" },
  { name: "ecdsa-384", spec: key("ECDSA", { size: 384 }), outcome: curveIs("secp384r1"), says: "ECDSA with P-384" },
  {
    name: "ecdsa-521",
    spec: key("ECDSA", { size: 521 }),
    outcome: /signature algorithm is none of/,
    says: "ECDSA with P-521: refused, the key is none that is certified",
  },
  {
    name: "ed25519",
    spec: key("Ed25519"),
    outcome: ({ leaf }) => assert.equal(leaf.publicKey.asymmetricKeyType, "ed25519"),
    says: "Ed25519",
  },
  {
    name: "common-name",
    spec: { commonName: "till-1" },
    outcome: subjectIs("CN=till-1"),
    says: "a common name alone, of `requests.subject.commonNames`",
  },
  {
    name: "name-as-common-name",
    spec: { commonName: "shop.example" },
    outcome: subjectIs("CN=shop.example"),
    says: "a common name alone that is one of `requests.dnsNames`",
  },
  {
    name: "other-common-name",
    spec: { commonName: "www.shop.example", dnsNames },
    outcome: (issued) => {
      subjectIs("CN=www.shop.example")(issued);
      namesAre("DNS:shop.example")(issued);
    },
    says: "a common name that is none of the DNS names",
  },
  {
    name: "dns",
    spec: { dnsNames: ["shop.example", "a.b.shop.example"] },
    outcome: namesAre("DNS:shop.example, DNS:a.b.shop.example"),
    says: "DNS names, within `requests.dnsNames`",
  },
  {
    name: "wildcard",
    spec: { dnsNames: ["*.shop.example", "shop.example"] },
    outcome: namesAre("DNS:*.shop.example, DNS:shop.example"),
    says: "wildcards, below a `*.` of `requests.dnsNames`",
  },
  {
    name: "ip",
    spec: { ipAddresses: ["127.0.0.1", "10.1.2.3"], dnsNames },
    outcome: namesAre("DNS:shop.example, IP Address:127.0.0.1, IP Address:10.1.2.3"),
    says: "IP addresses, within `requests.ips`",
  },
  {
    name: "ip-alone",
    spec: { ipAddresses: ["10.1.2.3"] },
    outcome: (issued) => {
      subjectIs(undefined)(issued);
      namesAre("IP Address:10.1.2.3")(issued);
    },
    says: "an IP address alone",
  },
  {
    name: "ip-as-common-name",
    spec: { ipAddresses: ["10.1.2.3"], commonName: "10.1.2.3" },
    outcome: (issued) => {
      subjectIs("CN=10.1.2.3")(issued);
      namesAre("IP Address:10.1.2.3")(issued);
    },
    says: "an IP address, and as common name",
  },
  {
    name: "email",
    spec: { emailAddresses: ["till@shop.example"] },
    outcome: namesAre("email:till@shop.example"),
    says: "e-mail addresses, within `requests.emails`",
  },
  {
    name: "uri",
    spec: { uris: ["https://shop.example/till"] },
    outcome: namesAre("URI:https://shop.example/till"),
    says: "URIs, within `requests.uris`",
  },
  {
    name: "duration",
    spec: { dnsNames, duration: "896h0m7s" },
    outcome: ({ leaf }) => assert.equal(leaf.validToDate.getTime() - leaf.validFromDate.getTime(), 3_225_607_000),
    says: "a duration, to the second, up to `requests.maximumSeconds`",
  },
  {
    name: "usages",
    spec: { dnsNames, usages: ["signing", "data encipherment", "server auth", "client auth", "code signing"] },
    outcome: ({ leaf }) => {
      // Node calls the extended ones so.
      assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.3"]);
      assert.deepEqual(readCertificate(leaf.raw).keyUsage, ["digitalSignature", "dataEncipherment"]);
    },
    says: "usages, of `requests.usages`",
  },
  { name: "long", spec: { dnsNames: [long] }, outcome: namesAre(`DNS:${long}`), says: "a label of 63 characters" },
  {
    name: "subject",
    spec: { dnsNames, subject: { organizations: ["Shop"], countries: ["DE"] } },
    outcome: ({ leaf }) => assert.deepEqual(leaf.subject?.split("\n").toSorted(), ["C=DE", "O=Shop"]),
    says: "a subject, of `requests.subject`",
  },
  {
    name: "literal-subject",
    spec: { dnsNames, literalSubject: "CN=till-9,O=Shop,C=DE" },
    outcome: subjectIs("C=DE\nO=Shop\nCN=till-9"),
    says: "a literal subject, in its order; its attributes are those of `requests.subject`",
  },
  {
    name: "changed-names",
    spec: { dnsNames },
    change: { dnsNames: [...dnsNames, "till.shop.example"] },
    outcome: ({ leaf }, before) => {
      assert.equal(leaf.subjectAltName, "DNS:shop.example, DNS:till.shop.example");
      assert.ok(!leaf.publicKey.equals(before.leaf.publicKey));
    },
    says: "names that change later: another certificate, with another key",
  },
  {
    name: "kept-key",
    spec: key("ECDSA", { rotationPolicy: "Never" }),
    change: { dnsNames: ["till.shop.example"] },
    outcome: ({ leaf }, before) => assert.ok(leaf.publicKey.equals(before.leaf.publicKey)),
    says: "a key that is kept (`rotationPolicy: Never`)",
  },
  {
    name: "ca",
    spec: { isCA: true, commonName: "alone-ca" },
    alone: true,
    outcome: (issued) => {
      const { leaf, chain } = issued;
      subjectIs("CN=alone-ca")(issued);
      assert.ok(leaf.ca);
      const { pathLength, nameConstraints } = readCertificate(leaf.raw);
      assert.equal(pathLength, 0);
      assert.deepEqual(nameConstraints, constraintsOf({ trustDomain: "alone.example", dnsNames: ["alone.example"] }));
      assert.match(chain[1]?.subject ?? "", /^CN=Espalier delegating authority/);
    },
    says: "a CA certificate, of a tenant with a root of its own, within `requests.authorities`",
  },
  {
    name: "shared-ca",
    spec: { isCA: true, commonName: "till-1" },
    outcome: /isCA.*requests\.authorities/,
    says: "a CA certificate, of a tenant that shares its root: refused, it could forge the others",
  },
  {
    name: "ca-with-names",
    spec: { isCA: true, commonName: "alone-ca", dnsNames: ["alone.example"] },
    alone: true,
    outcome: /isCA.*no names beside/,
    says: "a CA certificate with names beside its subject: refused, a CA is nobody's peer",
  },
  {
    name: "other-name",
    spec: { dnsNames, otherNames: [{ oid: "1.3.6.1.4.1.311.20.2.3", utf8Value: "till@shop.example" }] },
    outcome: /neither DNS, IP, e-mail nor URI/,
    says: "otherName: refused, a name of a kind that is not judged",
  },
];
