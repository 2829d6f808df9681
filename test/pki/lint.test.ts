import assert from "node:assert/strict";
import { test } from "node:test";
import { readCertificate } from "../../src/pki/certificate.ts";
import { enter, openDer, peek, readElement, skip, tag } from "../../src/pki/der.ts";
import { fromHex, toElement, toOctetString, toSequence } from "../../src/pki/encode.ts";
import { toLeafTemplate } from "../../src/pki/leaf.ts";
import { type Expected, lintNames, lintTbs } from "../../src/pki/lint.ts";
import {
  authorities,
  extension,
  flipBit,
  keys,
  type LeafOverrides,
  later,
  makeTbs,
  namesOf,
  notCritical,
  profileNames,
  quickAlgorithms,
  quickKinds,
  replaceHex,
  san,
  uri,
  uriName,
} from "../support/pki.ts";

const authority = await authorities("P-256");
const expected: Expected = {
  profile: "workload",
  names: namesOf("workload"),
  spki: keys("P-256").spki,
  authority: toLeafTemplate(authority, "workload").authority,
};
const good = makeTbs(authority);
const shown = new Set<string>();

function fails(lint: string, tbs: Uint8Array, overrides: Partial<Expected> = {}): void {
  shown.add(lint);
  assert.throws(() => lintTbs(tbs, { ...expected, ...overrides }), new RegExp(`^Error: lint ${lint}: `));
}

for (const algorithm of quickAlgorithms) {
  test(`every profile for every key under a ${algorithm} authority keeps every lint`, async () => {
    const ca = await authorities(algorithm);
    for (const profile of profileNames) {
      for (const kind of quickKinds) {
        const { spki } = keys(kind);
        const names = namesOf(profile);
        lintTbs(makeTbs(ca, { profile, spki }), { profile, names, spki, authority: readCertificate(ca.certificate) });
      }
    }
  });
}

const made: readonly (readonly [lint: string, what: string, LeafOverrides, Partial<Expected>?])[] = [
  ["serial-positive", "a negative serial", { serial: Uint8Array.from([0x80, ...new Uint8Array(16)]) }],
  ["serial-positive", "a serial of zero", { serial: Uint8Array.of(0) }],
  ["form", "a serial that is not minimal", { serial: Uint8Array.from([0, 1, ...new Uint8Array(15)]) }],
  ["serial-length", "a serial of 21 octets", { serial: Uint8Array.from([1, ...new Uint8Array(20)]) }],
  ["serial-length", "a serial of 16 octets", { serial: Uint8Array.from([1, ...new Uint8Array(15)]) }],
  ["validity-order", "an end before its beginning", { notAfter: later(-121) }],
  ["validity-order", "an end at its beginning", { notAfter: later(-120) }],
  ["validity-cap", "a life beyond the profile's", { notAfter: later(90 * 86_400 + 1) }],
  [
    "validity-authority",
    "a life beyond the authority's",
    { notBefore: later(365 * 86_400 - 60), notAfter: later(365 * 86_400 + 1) },
  ],
  ["names-exact", "another name", { names: { uri: `${uri}2`, dns: [] } }],
  ["names-exact", "a DNS name beside", { names: { uri, dns: ["a.example"] } }],
  [
    "names-profile",
    "DNS names that were expected",
    { names: { uri, dns: ["a.example"] } },
    { names: { uri, dns: ["a.example"] } },
  ],
  ["names-profile", "no URI, as expected", { names: { dns: ["a.example"] } }, { names: { dns: ["a.example"] } }],
  [
    "names-form",
    "a URI that is no SPIFFE ID",
    { names: { uri: "spiffe://td,evil/ns/a", dns: [] } },
    { names: { uri: "spiffe://td,evil/ns/a", dns: [] } },
  ],
  [
    "names-form",
    "a SPIFFE ID without a path",
    { names: { uri: "spiffe://td", dns: [] } },
    { names: { uri: "spiffe://td", dns: [] } },
  ],
  ["form", "a name beyond ASCII", { names: { uri: `${uri}\xe9`, dns: [] } }, { names: { uri: `${uri}\xe9`, dns: [] } }],
  ["form", "no name", { names: { dns: [] } }, { names: { dns: [] } }],
  ["key-exact", "another key", { spki: keys("P-384").spki }],
  ["key-usage", "the usages of another profile", { profile: "agent", names: namesOf("workload") }],
];

for (const [lint, what, overrides, differing] of made) {
  test(`${what} breaks lint ${lint}`, () => {
    fails(lint, makeTbs(authority, overrides), differing);
  });
}

for (const dns of [
  "*.example",
  "A.example",
  "a..example",
  "a.example.",
  "-a.example",
  "a_b.example",
  `${"a".repeat(64)}.example`,
  `${"a.".repeat(126)}aa`,
  "10.0.0.1/8",
]) {
  test(`the DNS name ${dns.slice(0, 20)} breaks lint names-form`, () => {
    const names = { dns: [dns] };
    fails("names-form", makeTbs(authority, { profile: "serving", names }), { profile: "serving", names });
  });
}

/** The TBS with its extensions changed; all lengths mended. */
function withExtensions(change: (extensions: Uint8Array[]) => Uint8Array[]): Uint8Array {
  const cursor = openDer(good, "the TBS");
  enter(cursor, tag.sequence, "the TBS");
  const start = cursor.at;
  while (peek(cursor) !== tag.context3) skip(cursor);
  const head = good.subarray(start, cursor.at);
  enter(cursor, tag.context3, "the extensions");
  enter(cursor, tag.sequence, "the extensions");
  const extensions: Uint8Array[] = [];
  while (cursor.at < cursor.end) extensions.push(readElement(cursor, tag.sequence, "an extension"));
  return toSequence(head, toElement(tag.context3, toSequence(...change(extensions))));
}

function replaced(id: number, by: Uint8Array): Uint8Array {
  return withExtensions((extensions) => extensions.map((one) => (idOf(one) === id ? by : one)));
}

/** The same extension, critical where it was not and the other way round. */
function turned(id: number): Uint8Array {
  return withExtensions((extensions) =>
    extensions.map((one) => {
      if (idOf(one) !== id) return one;
      const critical = Buffer.from(one).includes(fromHex("0101ff04"), 7);
      return extension(id, one.subarray(critical ? 12 : 9), critical ? notCritical : undefined);
    }),
  );
}

function idOf(one: Uint8Array): number {
  return one[6] ?? 0;
}

const keyUsage = 15;
const extKeyUsage = 37;
const constraints = 19;
const ski = 14;
const aki = 35;
const names = 17;
const serverAuth = fromHex("06082b06010505070301");
const clientAuth = fromHex("06082b06010505070302");

for (const [id, lint] of [
  [keyUsage, "key-usage"],
  [extKeyUsage, "extended-usage"],
  [constraints, "basic-constraints"],
  [ski, "subject-key-id"],
  [aki, "authority-key-id"],
  [names, "names-critical"],
] as const) {
  test(`an extension that is critical and must not be, or must be and is not, breaks lint ${lint}`, () => {
    fails(lint, turned(id));
  });
  test(`a missing extension breaks lint ${id === names ? "names-exact" : lint}`, () => {
    const missing = withExtensions((extensions) => extensions.filter((one) => idOf(one) !== id));
    fails(id === names ? "names-exact" : lint, missing);
  });
}

const edited: readonly (readonly [lint: string, what: string, tbs: Uint8Array])[] = [
  ["form", "version 2", replaceHex(good, "a003020102", "a003020101")],
  ["form", "a time in another zone", replaceHex(good, hex("111112Z"), hex("1111120"))],
  ["form", "an extension twice", withExtensions((all) => [...all, ...all.slice(0, 1)])],
  ["form", "a critical extension that nobody knows", withExtensions((all) => [...all, extension(99, fromHex("0500"))])],
  ["form", "bytes behind the end", Uint8Array.from([...good, 0])],
  ["form", "a truncated TBS", good.subarray(0, -1)],
  [
    "extensions-known",
    "a seventh extension",
    withExtensions((all) => [...all, extension(99, fromHex("0500"), notCritical)]),
  ],
  [
    "signature-algorithm",
    "the algorithm of another key",
    replaceHex(good, "300a06082a8648ce3d040302", "300a06082a8648ce3d040303"),
  ],
  ["issuer", "another issuer", replaceHex(good, hex("authority 1"), hex("authority 2"))],
  ["subject-empty", "a subject", withSubject()],
  ["names-exact", "an IP address beside", replaced(names, san(uriName(uri), fromHex("87040a000001")))],
  ["names-exact", "two URIs", replaced(names, san(uriName(uri), uriName(uri)))],
  ["key-usage", "keyCertSign", replaced(keyUsage, extension(keyUsage, fromHex("030202a4")))],
  ["key-usage", "cRLSign", replaced(keyUsage, extension(keyUsage, fromHex("030201a2")))],
  ["key-usage", "no digitalSignature", replaced(keyUsage, extension(keyUsage, fromHex("03020520")))],
  ["basic-constraints", "cA", replaced(constraints, extension(constraints, fromHex("30030101ff")))],
  [
    "basic-constraints",
    "cA and a path length",
    replaced(constraints, extension(constraints, fromHex("30060101ff020100"))),
  ],
  [
    "extended-usage",
    "serverAuth alone",
    replaced(extKeyUsage, extension(extKeyUsage, toSequence(serverAuth), notCritical)),
  ],
  [
    "extended-usage",
    "clientAuth alone",
    replaced(extKeyUsage, extension(extKeyUsage, toSequence(clientAuth), notCritical)),
  ],
  [
    "extended-usage",
    "a third usage",
    replaced(
      extKeyUsage,
      extension(extKeyUsage, toSequence(serverAuth, clientAuth, fromHex("06082b06010505070303")), notCritical),
    ),
  ],
  [
    "subject-key-id",
    "another key's identifier",
    replaced(ski, extension(ski, toOctetString(new Uint8Array(20)), notCritical)),
  ],
  [
    "authority-key-id",
    "another authority's identifier",
    replaced(aki, extension(aki, toSequence(toElement(0x80, new Uint8Array(20))), notCritical)),
  ],
  ["authority-key-id", "no key identifier in it", replaced(aki, extension(aki, toSequence(), notCritical))],
  [
    "authority-key-id",
    "a serial number in it",
    replaced(aki, extension(aki, toSequence(toElement(0x80, authoritySki()), fromHex("820101")), notCritical)),
  ],
];

for (const [lint, what, tbs] of edited) {
  test(`${what} breaks lint ${lint}`, () => {
    fails(lint, tbs);
  });
}

test("a single flipped bit breaks a lint, wherever it is, but for serial, validity and nothing else", () => {
  const serial = Buffer.from(good).indexOf(fromHex("0211")) + 2;
  const validity = Buffer.from(good).indexOf(fromHex("301e170d"));
  for (let bit = 0; bit < good.length * 8; bit++) {
    const at = bit >> 3;
    const free = (at >= serial && at < serial + 17) || (at >= validity && at < validity + 32);
    if (!free) assert.throws(() => lintTbs(flipBit(good, bit), expected), /^Error: lint /, `bit ${bit}`);
  }
});

test("every lint has been shown to fail", () => {
  assert.deepEqual([...shown].sort(), [...lintNames].sort());
});

function hex(text: string): string {
  return Buffer.from(text, "latin1").toString("hex");
}

function authoritySki(): Uint8Array {
  assert.ok(expected.authority.ski);
  return expected.authority.ski;
}

function withSubject(): Uint8Array {
  const subject = toSequence(toElement(0x31, toSequence(fromHex("0603550403"), fromHex("0c0161"))));
  const cursor = openDer(good, "the TBS");
  enter(cursor, tag.sequence, "the TBS");
  const start = cursor.at;
  for (let i = 0; i < 5; i++) skip(cursor);
  const head = good.subarray(start, cursor.at);
  skip(cursor);
  return toSequence(head, subject, good.subarray(cursor.at));
}
