import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { type CanonicalObject, canonical } from "../../src/ledger/canonical.ts";
import { encodeAct, encodeIntent, entryVersion, readEntry } from "../../src/ledger/entry.ts";
import type { Act, Draft } from "../../src/ledger/ledger.ts";
import { createTimes, toTime } from "../../src/ledger/octets.ts";
import { act, draft } from "../contract/drafts.ts";

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed());
const octets = fc.uint8Array({ maxLength: 40 });
const time = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) / 1000 }).map((seconds) => new Date(seconds * 1000));

const required: Exclude<keyof Draft, "request">[] = [
  "log",
  "cluster",
  "door",
  "profile",
  "authority",
  "bundleVersion",
  "serial",
  "identity",
  "rule",
  "proof",
  "keySha256",
  "notBefore",
  "notAfter",
  "tbs",
];
const drafts: fc.Arbitrary<Draft> = fc.record(
  {
    log: text,
    cluster: text,
    door: fc.constantFrom("istio", "certificate-request", "csr", "own"),
    profile: fc.constantFrom("workload", "serving", "agent", "operator", "issuer", "request", "authority"),
    authority: text,
    bundleVersion: text,
    serial: octets,
    identity: text,
    rule: text,
    proof: text,
    tokenSha256: octets,
    keySha256: octets,
    renewableSince: time,
    notBefore: time,
    notAfter: time,
    tbs: octets,
    idempotency: fc.record({ key: text, digest: octets }),
    request: fc.record(
      { object: text, issuer: text, username: text, groups: fc.array(text, { maxLength: 3 }) },
      { noNullPrototype: true },
    ),
  },
  {
    requiredKeys: required,
    noNullPrototype: true,
  },
);
const acts: fc.Arbitrary<Act> = fc.record(
  {
    log: text,
    verb: text,
    operator: text,
    reason: text,
    details: fc.dictionary(text, text, { noNullPrototype: true }),
  },
  { noNullPrototype: true },
);

/** RFC 8785 as briefly as it can be said: names in order of UTF-16 code units, everything else as JSON.stringify has it. */
function naive(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${naive(member)}`).join(",")}}`;
}

const hex = (bytes?: Uint8Array) => bytes && Buffer.from(bytes).toString("hex");

function naiveIntent(made: Draft, at: Date): string {
  const { idempotency, renewableSince, ...rest } = made;
  return naive({
    ...rest,
    kind: "intent",
    version: entryVersion,
    time: toTime(at),
    serial: hex(made.serial),
    keySha256: hex(made.keySha256),
    tokenSha256: hex(made.tokenSha256),
    tbs: Buffer.from(made.tbs).toString("base64"),
    notBefore: toTime(made.notBefore),
    notAfter: toTime(made.notAfter),
    renewableSince: renewableSince && toTime(renewableSince),
    idempotencyKey: idempotency?.key,
    idempotencyDigest: hex(idempotency?.digest),
  });
}

const asBuffers = (value: Draft) => ({
  ...value,
  serial: hex(value.serial),
  tbs: hex(value.tbs),
  keySha256: hex(value.keySha256),
  tokenSha256: hex(value.tokenSha256),
  idempotency: value.idempotency && { key: value.idempotency.key, digest: hex(value.idempotency.digest) },
});

test("an intent's bytes are canonical, and read back as the same draft", () => {
  const times = createTimes();
  fc.assert(
    fc.property(drafts, time, (made, at) => {
      const bytes = encodeIntent(made, at, times);
      assert.equal(Buffer.from(bytes).toString("utf8"), naiveIntent(made, at));
      const entry = readEntry(bytes);
      assert.ok(entry.kind === "intent");
      assert.deepEqual(asBuffers(entry.draft), asBuffers(made));
      assert.deepEqual(entry.time, at);
    }),
  );
});

test("an act's bytes are canonical, and read back as the same act", () => {
  fc.assert(
    fc.property(acts, time, (made, at) => {
      const bytes = encodeAct(made, at);
      const expected = naive({ ...made, kind: "act", time: toTime(at), version: entryVersion });
      assert.equal(Buffer.from(bytes).toString("utf8"), expected);
      assert.deepEqual(readEntry(bytes), { kind: "act", act: made, time: at });
    }),
  );
});

test("names are sorted as RFC 8785 3.2.3 sorts its example, and strings escaped as in 3.2.2.2", () => {
  const example: CanonicalObject = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const order = ["Carriage Return", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
  const written = canonical(example);
  const places = order.map((word) => written.indexOf(`"${word}`));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  assert.ok(!places.includes(-1));
  assert.equal(canonical({ s: '\u20ac$\u000f\nA\'B"\\\\"/' }), '{"s":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}');
});

test("what has no canonical form is an error", () => {
  assert.throws(() => canonical({ a: "\ud800" }));
  assert.throws(() => canonical({ a: 1.5 }));
  assert.throws(() => canonical({ a: 2 ** 53 }));
  assert.throws(() => encodeIntent(draft({ notAfter: new Date(Date.UTC(10_000, 0)) }), new Date()));
});

const malformed = { code: "malformed" };

test("a body that is cut short, has a bit flipped or something added is refused, or is another entry", () => {
  const body = encodeIntent(draft({ idempotency: { key: "k", digest: Buffer.alloc(32) } }), new Date());
  for (let end = 0; end < body.length; end += 1) assert.throws(() => readEntry(body.subarray(0, end)), malformed);
  for (const extra of [" ", "\n", "}", "\0"]) {
    assert.throws(() => readEntry(Buffer.concat([body, Buffer.from(extra)])), malformed);
  }
  fc.assert(
    fc.property(fc.nat(body.length * 8 - 1), (bit) => {
      const flipped = Buffer.from(body);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        readEntry(flipped);
      } catch (error) {
        assert.ok(error instanceof Error && "code" in error && error.code === "malformed", String(error));
      }
    }),
  );
});

test("another spelling of one entry is refused", () => {
  const body = Buffer.from(encodeAct(act(), new Date("2026-11-21T11:00:00Z"))).toString("utf8");
  const spellings = [
    body.replace('"kind":"act"', '"kind": "act"'),
    body.replace('"act"', '"\\u0061ct"'),
    body.replace('"kind":"act",', '"kind":"act","kind":"act",'),
    body.replace('"kind":"act",', '"kind":"act","later":1,'),
    body.replace('"version":1', '"version":2'),
    body.replace("11:00:00Z", "11:00:00.000Z"),
    body.replace('"why":"so"', '"why":1'),
    `\ufeff${body}`,
    "null",
    "[]",
    "1",
    '"{}"',
  ];
  for (const spelling of spellings) {
    assert.notEqual(spelling, body);
    assert.throws(() => readEntry(Buffer.from(spelling)), malformed, spelling);
  }
});
