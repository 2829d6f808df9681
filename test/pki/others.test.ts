/** Roots and authorities as others make them: OpenSSL, by its command. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { before, test } from "node:test";
import { createRoot } from "../../src/pki/authority.ts";
import { fromHex, toElement, toSequence } from "../../src/pki/encode.ts";
import { newSerial } from "../../src/pki/leaf.ts";
import { readAuthority, readRoot } from "../../src/pki/others.ts";
import { readPem } from "../../src/pki/pem.ts";
import { makeAuthority, makeSigner } from "../support/pki.ts";
import { hasOpenssl, openssl } from "../support/pki-openssl.ts";

const dayMs = 86_400_000;
const basic = "basicConstraints=critical,CA:true";
const usage = "keyUsage=critical,keyCertSign,cRLSign";
const ski = "subjectKeyIdentifier=hash";
const good = [basic, usage, ski];

interface RootParts {
  readonly extensions?: readonly string[];
  readonly key?: readonly string[];
  readonly more?: readonly string[];
}

/** A self-signed certificate of these extensions, valid for thirty days from now. */
function makeRoot({ extensions = good, key = ec("P-256"), more = [] }: RootParts = {}): Uint8Array {
  const config = [
    "[req]",
    "distinguished_name=dn",
    "x509_extensions=ext",
    "prompt=no",
    "[dn]",
    "O=Other",
    "CN=root",
    "[ext]",
  ];
  const files = { config: [...config, ...extensions, ""].join("\n") };
  const fixed = ["req", "-x509", "-nodes", "-days", "30", "-config", "{config}", "-keyout", "/dev/null"];
  return readPem(openssl([...fixed, ...key, ...more], files), ["CERTIFICATE"]);
}

function ec(curve: string): readonly string[] {
  return ["-newkey", "ec", "-pkeyopt", `ec_paramgen_curve:${curve}`];
}

function soon(): Date {
  return new Date(Date.now() + 1000);
}

test("a root that OpenSSL made can be brought", { skip: !hasOpenssl }, () => {
  for (const [key, algorithm] of [
    [ec("P-256"), "P-256"],
    [ec("P-384"), "P-384"],
    [["-newkey", "rsa:2048"], "RSA-2048"],
  ] as const) {
    const root = readRoot(makeRoot({ key }), soon());
    assert.equal(root.algorithm, algorithm);
    assert.deepEqual(root.warnings, []);
  }
});

test("what a root of Istio's own has is enough, and said: neither cRLSign nor a critical key usage", {
  skip: !hasOpenssl,
}, () => {
  const istio = ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=hash"];
  assert.match(readRoot(makeRoot({ extensions: istio }), soon()).warnings.join(), /cRLSign/);
  const adcs = [
    "basicConstraints=critical,CA:true",
    "keyUsage=digitalSignature,keyCertSign,cRLSign",
    "subjectKeyIdentifier=hash",
  ];
  assert.match(readRoot(makeRoot({ extensions: adcs }), soon()).warnings.join(), /not critical/);
});

const refused: readonly (readonly [rule: string, parts: RootParts, says: RegExp])[] = [
  ["is no CA", { extensions: ["basicConstraints=critical,CA:false", usage, ski] }, /it is no CA/],
  ["has no basic constraints", { extensions: [usage, ski] }, /it is no CA/],
  [
    "does not hold them critical",
    { extensions: ["basicConstraints=CA:true", usage, ski] },
    /no critical basic constraints/,
  ],
  [
    "has path length 0",
    { extensions: [`${basic},pathlen:0`, usage, ski] },
    /path length is 0.*no authority could stand below/,
  ],
  ["may not sign certificates", { extensions: [basic, "keyUsage=critical,cRLSign", ski] }, /lacks keyCertSign/],
  ["says nothing of its use", { extensions: [basic, ski] }, /lacks keyCertSign/],
  ["has no key identifier", { extensions: [basic, usage, "subjectKeyIdentifier=none"] }, /no subject key identifier/],
  [
    "is signed with SHA-1",
    { key: ["-newkey", "rsa:2048"], more: ["-sha1"] },
    /signature algorithm is none of RSA with SHA-2/,
  ],
  ["has an RSA key of 1024 bits", { key: ["-newkey", "rsa:1024"] }, /an RSA modulus not of 2048, 3072 or 4096 bits/],
  ["is on a curve of Bitcoin's", { key: ec("secp256k1") }, /neither RSA, P-256, P-384/],
  ["is on P-521", { key: ec("P-521"), more: ["-sha256"] }, /neither RSA, P-256, P-384/],
  ["is Ed25519", { key: ["-newkey", "ed25519"] }, /not Ed25519/],
  [
    "has critical name constraints",
    { extensions: [...good, "nameConstraints=critical,permitted;DNS:example.com"] },
    /name constraints/,
  ],
  ["has name constraints", { extensions: [...good, "nameConstraints=permitted;DNS:example.com"] }, /name constraints/],
  [
    "has a critical extension of its own",
    { extensions: [...good, "1.2.3.4=critical,DER:0500"] },
    /critical extension that we do not know/,
  ],
  [
    "names another key as its own above it",
    { extensions: [...good, `authorityKeyIdentifier=DER:30168014${"11".repeat(20)}`] },
    /its authority key identifier is not that of the CA above it/,
  ],
  [
    "is for clients only",
    { extensions: [...good, "extendedKeyUsage=clientAuth"] },
    /extended key usage lacks serverAuth/,
  ],
];

for (const [rule, parts, says] of refused) {
  test(`a root that ${rule} is refused`, { skip: !hasOpenssl }, () => {
    assert.throws(() => readRoot(makeRoot(parts), soon()), { name: "Refusal", message: says });
  });
}

test("a root that has expired, or is not valid yet, is refused", { skip: !hasOpenssl }, () => {
  const root = makeRoot();
  for (const at of [new Date(Date.now() + 31 * dayMs), new Date(Date.now() - dayMs)])
    assert.throws(() => readRoot(root, at), { code: "malformed", message: /it is valid from .* to .*, not/ });
});

let pair: Awaited<ReturnType<typeof makeAuthority>>;
before(async () => {
  const times = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + 30 * dayMs) };
  pair = await makeAuthority("P-256", times);
});

test("an intermediate, a leaf or rubbish is no root", async () => {
  assert.throws(() => readRoot(pair.certificate, new Date()), { code: "malformed", message: /not self-signed/ });
  assert.throws(() => readRoot(fromHex("3003020100"), new Date()), { code: "malformed" });
  for (const length of [1, 40, pair.root.length - 1])
    assert.throws(() => readRoot(pair.root.subarray(0, length), new Date()), { code: "malformed" });
});

test("a root whose signature is another key's is no root", async () => {
  const signer = makeSigner("P-256");
  const times = { notBefore: new Date(Date.now() - 1000), notAfter: new Date(Date.now() + dayMs) };
  const lying = { ...signer, sign: makeSigner("P-256").sign };
  const root = await createRoot({
    signer: lying,
    commonName: "x",
    serial: newSerial((n) => new Uint8Array(n)),
    ...times,
  });
  assert.throws(() => readRoot(root, new Date()), { code: "malformed", message: /not self-signed/ });
});

test("an authority is taken under its own root alone", async () => {
  const authority = readAuthority(pair.certificate, pair.root, new Date());
  assert.equal(authority.algorithm, "P-256");
  assert.deepEqual(authority.warnings, []);
  const other = await makeAuthority("P-256");
  assert.throws(() => readAuthority(pair.certificate, other.root, new Date()), {
    code: "malformed",
    message: /another CA has issued it/,
  });
  const wide = await makeAuthority("P-256", { pathLength: 1 });
  assert.match(readAuthority(wide.certificate, wide.root, new Date()).warnings.join(), /path length is not 0/);
});

test("an authority whose key identifier names another certificate of its root's key is refused, as OpenSSL passes it over", {
  skip: !hasOpenssl,
}, () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const config = (extensions: readonly string[]): string =>
    [
      "[req]",
      "distinguished_name=dn",
      "x509_extensions=ext",
      "prompt=no",
      "[dn]",
      "CN=other",
      "[ext]",
      ...extensions,
      "",
    ].join("\n");
  const request = ["req", "-x509", "-days", "30", "-config", "{config}"];
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  const rootPem = openssl([...request, "-key", "{key}", "-set_serial", "6"], { key, config: config(good) });
  const root = readPem(rootPem, ["CERTIFICATE"]);
  const { subject, ski: keyId = new Uint8Array() } = readRoot(root, soon()).certificate;
  const answer = (serial: number): Uint8Array => {
    const names = toElement(0xa1, toElement(0xa4, subject));
    const aki = toSequence(toElement(0x80, keyId), names, toElement(0x82, Uint8Array.of(serial)));
    const asked = [`${basic},pathlen:0`, usage, ski, `authorityKeyIdentifier=DER:${Buffer.from(aki).toString("hex")}`];
    const from = ["-CA", "{root}", "-CAkey", "{key}", "-days", "20", "-nodes", "-keyout", "/dev/null", ...ec("P-256")];
    const files = { key, root: rootPem, config: config(asked) };
    return readPem(openssl([...request, ...from], files), ["CERTIFICATE"]);
  };
  readAuthority(answer(6), root, soon());
  assert.throws(() => readAuthority(answer(7), root, soon()), {
    code: "malformed",
    message: /its authority key identifier is not that of the CA above it/,
  });
});
