import assert from "node:assert/strict";
import { randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Refusal } from "../../src/errors.ts";
import { createAuthority, createRoot } from "../../src/pki/authority.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { openVerifier, type Path, toChain, verifyLeaf, verifySignature } from "../../src/pki/chain.ts";
import { fromHex } from "../../src/pki/encode.ts";
import { newSerial } from "../../src/pki/leaf.ts";
import { readPem, readPemAll, toPem } from "../../src/pki/pem.ts";
import {
  authorities,
  flipBit,
  keys,
  later,
  makeAuthority,
  makeLeaf,
  makeSigner,
  makeTbs,
  namesOf,
  now,
  quickAlgorithms,
  replaceHex,
  signTbs,
  uri,
} from "../support/pki.ts";

const authority = await authorities("P-256");
const other = await makeAuthority("P-256");
const leaf = await makeLeaf(authority);
const path: Path = {
  leaf,
  intermediates: [authority.certificate],
  roots: [authority.root],
  at: now,
  key: keys("P-256").spki,
  names: namesOf("workload"),
};

test("a chain is the leaf, one intermediate an element, and the whole bundle last", () => {
  const chain = toChain(leaf, [authority.certificate, other.certificate], [authority.root, other.root]);
  assert.equal(chain.length, 4);
  for (const element of chain) assert.ok(element.endsWith("-----END CERTIFICATE-----\n"));
  assert.deepEqual(Uint8Array.from(readPem(chain[0] ?? "", ["CERTIFICATE"])), leaf);
  assert.deepEqual(Uint8Array.from(readPem(chain[1] ?? "", ["CERTIFICATE"])), authority.certificate);
  assert.equal(chain[3], toPem("CERTIFICATE", authority.root) + toPem("CERTIFICATE", other.root));
  assert.deepEqual(
    readPemAll(chain[3] ?? "").map((der) => Uint8Array.from(der)),
    [authority.root, other.root],
  );
});

test("a root is not repeated among the intermediates, and a chain has at least two elements", () => {
  assert.equal(toChain(leaf, [authority.certificate, authority.root], [authority.root]).length, 3);
  assert.equal(toChain(leaf, [], [authority.root]).length, 2);
  assert.throws(() => toChain(leaf, [authority.certificate], []), /without a root/);
});

for (const algorithm of quickAlgorithms) {
  test(`the path of a leaf under a ${algorithm} authority is verified`, async () => {
    const ca = await authorities(algorithm);
    const der = await makeLeaf(ca);
    const verified = verifyLeaf({ ...path, leaf: der, intermediates: [ca.certificate], roots: [other.root, ca.root] });
    assert.deepEqual(verified.uris, [uri]);
    assert.ok(verifySignature(verified, ca.certificate));
    assert.equal(verifySignature(verified, ca.root), false);
  });
}

test("a leaf directly under its root is verified, as serving leaves are", async () => {
  const under = { ...authority, certificate: authority.root, signer: authority.rootSigner };
  const der = await makeLeaf(under, { profile: "serving" });
  verifyLeaf({ leaf: der, intermediates: [], roots: [authority.root], at: now, names: namesOf("serving") });
});

test("of two roots with one name, the one with the key is found", async () => {
  const twin = await makeAuthority("P-256");
  assert.deepEqual(readCertificate(twin.root).subject, readCertificate(authority.root).subject);
  verifyLeaf({ ...path, roots: [twin.root, authority.root] });
  assert.throws(() => verifyLeaf({ ...path, roots: [twin.root] }), /no root of the bundle/);
});

const caLeaf = await signTbs(authority, replaceHex(makeTbs(authority), "030205a0", "030202a4"));
const noSignature = await signTbs(authority, replaceHex(makeTbs(authority), "030205a0", "03020520"));
const stranger = await signTbs({ ...authority, signer: other.signer }, makeTbs(authority));
const asAuthority = { ...authority, certificate: leaf, signer: makeSigner("P-256", keys("P-256")) };
const belowLeaf = await makeLeaf(asAuthority);

for (const [rule, change, reason] of [
  ["another key", { key: keys("P-384").spki }, /another key/],
  ["another name", { names: { uri: `${uri}2`, dns: [] } }, /other names/],
  ["fewer names", { names: { uri, dns: ["a.example"] } }, /other names/],
  ["no name expected", { names: { dns: [] } }, /other names/],
  ["a leaf that may sign certificates", { leaf: caLeaf }, /may sign certificates/],
  ["a leaf that may not sign", { leaf: noSignature }, /may not sign handshakes/],
  ["an authority for a leaf", { leaf: authority.certificate }, /may sign certificates/],
  ["a signature by another key", { leaf: stranger }, /signature of the chain/],
  ["a leaf that is over", { at: later(3601) }, /the leaf is not valid after/],
  ["a leaf that is yet to come", { at: later(-121) }, /the leaf is not valid before/],
  ["a bundle of other roots", { roots: [other.root] }, /no root/],
  ["an empty bundle", { roots: [] }, /no root/],
  ["no intermediate", { intermediates: [] }, /no root/],
  [
    "another intermediate",
    { intermediates: [other.certificate], roots: [other.root] },
    /not issued by|signature of the chain/,
  ],
  [
    "intermediates in the wrong order",
    { intermediates: [authority.root, authority.certificate] },
    /not issued by|no root|longer/,
  ],
  [
    "a leaf for an intermediate",
    { leaf: belowLeaf, intermediates: [leaf, authority.certificate] },
    /no CA|no root|not issued/,
  ],
] as const) {
  test(`a path with ${rule} is refused`, () => {
    assert.throws(() => verifyLeaf({ ...path, ...change }), reason);
    const verify = openVerifier();
    verify(path);
    assert.throws(() => verify({ ...path, ...change }), reason);
  });
}

test("an authority that has expired is refused, and so is a root, however often they were accepted", async () => {
  const short = await makeAuthority("P-256", { notAfter: later(600) });
  const long = await makeLeaf(short, { notAfter: later(3600) });
  const verify = openVerifier();
  const good = { leaf: long, intermediates: [short.certificate], roots: [short.root] };
  verify({ ...good, at: now });
  assert.throws(() => verify({ ...good, at: later(601) }), /an issuer of the chain is not valid after/);
});

test("a path longer than a path length in it is refused", async () => {
  for (const [pathLength, fits] of [
    [0, false],
    [1, true],
  ] as const) {
    const upper = await makeAuthority("P-256", { pathLength });
    const signer = makeSigner("P-256");
    const certificate = await createAuthority({
      signer: upper.signer,
      parent: upper.certificate,
      spki: signer.spki,
      commonName: "below",
      notBefore: later(-60),
      notAfter: later(86_400),
      serial: newSerial(randomBytes),
      pathLength: 0,
    });
    const der = await makeLeaf({ ...upper, certificate, signer });
    const check = () =>
      verifyLeaf({ leaf: der, intermediates: [certificate, upper.certificate], roots: [upper.root], at: now });
    if (fits) check();
    else assert.throws(check, /path length/);
  }
});

test("an issuer without keyCertSign or without cA is refused", async () => {
  const signer = makeSigner("P-256");
  const parts = {
    signer,
    commonName: "r",
    notBefore: later(-60),
    notAfter: later(86_400),
    serial: newSerial(randomBytes),
  };
  const root = await createRoot(parts);
  const under = { algorithm: "P-256", root, rootSigner: signer, certificate: root, signer } as const;
  const der = await makeLeaf(under);
  for (const [from, to, reason] of [
    ["03020106", "03020102", /may not sign certificates/],
    ["0603551d130101ff040530030101ff", "0603551d630101ff040530030101ff", /critical extension/],
    ["0603551d130101ff040530030101ff", "0603551d130101ff040504030101ff", /basic constraints/],
  ] as const) {
    const changed = replaceHex(root, from, to);
    assert.throws(() => verifyLeaf({ leaf: der, intermediates: [], roots: [changed], at: now }), reason);
  }
  // A root of the bundle without basic constraints' cA: signed by its own key, as a leaf is.
  assert.throws(() => verifyLeaf({ ...path, leaf: belowLeaf, intermediates: [], roots: [leaf] }), /no CA/);
});

test("any flipped bit of leaf or intermediate is refused, also by a verifier that knows the true one", () => {
  const verify = openVerifier();
  verify(path);
  for (let bit = 0; bit < leaf.length * 8; bit += 3) {
    assert.throws(() => verify({ ...path, leaf: flipBit(leaf, bit) }), Error, `leaf bit ${bit}`);
  }
  for (let bit = 0; bit < authority.certificate.length * 8; bit += 7) {
    assert.throws(() => verify({ ...path, intermediates: [flipBit(authority.certificate, bit)] }), Error, `bit ${bit}`);
  }
});

test("a verifier does not trust bytes that its caller changed behind its back", () => {
  const verify = openVerifier();
  const intermediate = Uint8Array.from(authority.certificate);
  verify({ ...path, intermediates: [intermediate] });
  intermediate.set(other.certificate.subarray(0, 40));
  assert.throws(() => verify({ ...path, intermediates: [intermediate] }));
});

test("what cannot be read in a chain is a fault and no refusal", () => {
  const short = leaf.subarray(0, -1);
  for (const change of [
    { leaf: short },
    { intermediates: [short] },
    { roots: [short] },
    { intermediates: Array(9).fill(leaf) },
  ]) {
    assert.throws(
      () => verifyLeaf({ ...path, ...change }),
      (error) => error instanceof Error && !(error instanceof Refusal),
    );
  }
  assert.throws(() => verifySignature(readCertificate(leaf), short), { name: "Error" });
});

test("node:crypto agrees about each link", () => {
  const [child, parent, root] = [leaf, authority.certificate, authority.root].map((der) => new X509Certificate(der));
  assert.ok(child && parent && root);
  assert.ok(child.checkIssued(parent) && child.verify(parent.publicKey));
  assert.ok(parent.checkIssued(root) && parent.verify(root.publicKey));
  assert.equal(child.checkIssued(root), false);
  assert.deepEqual(fromHex(child.serialNumber).length, 17);
});
