import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { enter, leave, openDer, peek, readContent, readElement, skip, tag, take } from "../../src/pki/der.ts";
import { fromHex, toBitString, toElement, toOctetString, toSequence } from "../../src/pki/encode.ts";

const malformed = { name: "Refusal", code: "malformed" };
const open = (hex: string) => openDer(fromHex(hex), "it");

for (const [rule, hex] of [
  ["nothing at all", ""],
  ["a tag without a length", "30"],
  ["less content than its length", "040301"],
  ["trailing bytes", "050000"],
  ["a long length under 128", "04810100"],
  ["a length with a leading zero", `04820080${"00".repeat(128)}`],
  ["an indefinite length", "30800000"],
  ["a length of four octets", `048400000080${"00".repeat(128)}`],
  ["a child longer than its parent", "3003040200"],
  ["BOOLEAN 0x01", "3003010101"],
  ["a BOOLEAN of two octets", "30040102ffff"],
  ["an empty INTEGER", "30020200"],
  ["an INTEGER with a needless 00", "300402020001"],
  ["an INTEGER with a needless ff", "30040202ff80"],
  ["a BIT STRING without its first octet", "30020300"],
  ["a BIT STRING with 8 unused bits", "3004030208ff"],
  ["an empty BIT STRING with unused bits", "3003030101"],
  ["a BIT STRING whose unused bits are set", "3004030201ff"],
  ["an OBJECT IDENTIFIER with a needless 80", "300506032a8001"],
  ["an OBJECT IDENTIFIER without its end", "300406022a86"],
  ["an empty OBJECT IDENTIFIER", "30020600"],
  ["a NULL with content", "3003050100"],
  ["a constructed OCTET STRING", "3004240204 00".replace(" ", "")],
  ["a primitive SEQUENCE", "3002100 0".replace(" ", "")],
  ["a tag number above 30", "30031f2100"],
  ["an application tag", "30024000"],
  ["end-of-contents", "30020000"],
  ["a SET out of order", "3106020102020101"],
] as const) {
  test(`${rule} is refused`, () => {
    assert.throws(() => open(hex), malformed);
  });
}

for (const hex of [
  "0500",
  "3000",
  "020100",
  "02020080",
  "0201ff",
  "030100",
  "030207 80",
  "0101ff",
  "010100",
  "3106020101020102",
]) {
  test(`${hex} is DER`, () => {
    open(hex.replace(" ", ""));
  });
}

test("depth and size are bounded, and not by the stack", () => {
  let nested = fromHex("0500");
  for (let depth = 1; depth < 16; depth++) nested = Uint8Array.from(toSequence(nested));
  openDer(nested, "it");
  assert.throws(() => openDer(toSequence(nested), "it"), malformed);
  const deep = fromHex("3080".repeat(8000));
  assert.throws(() => openDer(deep, "it"), malformed);
  openDer(toOctetString(new Uint8Array(16 * 1024 - 4)), "it");
  assert.throws(() => openDer(toOctetString(new Uint8Array(16 * 1024 - 3)), "it"), malformed);
  openDer(toOctetString(new Uint8Array(70_000)), "it", 100_000);
});

test("a cursor does not leave what it entered, nor leave anything unread", () => {
  const cursor = openDer(toSequence(toSequence(fromHex("020101")), fromHex("0500")), "it");
  const outer = enter(cursor, tag.sequence, "outer");
  const inner = enter(cursor, tag.sequence, "inner");
  assert.throws(() => leave(cursor, inner, "inner"), malformed);
  assert.deepEqual(readContent(cursor, tag.integer, "one"), Uint8Array.of(1));
  assert.equal(peek(cursor), 0);
  assert.throws(() => skip(cursor), malformed);
  assert.throws(() => readElement(cursor, tag.null, "null"), malformed);
  assert.equal(take(cursor, fromHex("0500")), false);
  leave(cursor, inner, "inner");
  assert.equal(take(cursor, fromHex("0500")), true);
  leave(cursor, outer, "outer");
});

interface Tree {
  readonly type: number;
  readonly content?: Uint8Array;
  readonly children?: readonly Tree[];
}

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.record({ type: fc.constant(0x04), content: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ type: fc.constant(0x03), content: fc.uint8Array({ maxLength: 30 }) }),
    fc.record({ type: fc.constantFrom(0x30, 0xa0, 0xa3), children: fc.array(tie("tree"), { maxLength: 5 }) }),
  ),
}));

function write({ type, content, children }: Tree): Uint8Array {
  if (children !== undefined) return toElement(type, ...children.map(write));
  return type === 0x03 ? toBitString(content ?? new Uint8Array()) : toOctetString(content ?? new Uint8Array());
}

test("what is written is read, element for element", () => {
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 8 }), (trees) => {
      const parts = trees.map(write);
      const cursor = openDer(toSequence(...parts), "it", 1_000_000);
      const outer = enter(cursor, tag.sequence, "it");
      for (const part of parts) assert.deepEqual(readElement(cursor, part[0] ?? 0, "a part"), Uint8Array.from(part));
      leave(cursor, outer, "it");
    }),
  );
});

test("no bytes do anything but parse or be refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        openDer(bytes, "it");
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "malformed");
      }
    }),
  );
});

test("what is truncated is refused at every length", () => {
  fc.assert(
    fc.property(tree, (root) => {
      const der = write(root);
      for (let length = 0; length < der.length; length++) {
        assert.throws(() => openDer(der.subarray(0, length), "it"), malformed);
      }
    }),
    { numRuns: 20 },
  );
});
