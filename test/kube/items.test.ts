import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { openItems } from "../../src/kube/items.ts";

/** The text in pieces of these sizes, again and again. */
function read(text: string, sizes: readonly number[] = [1_000_000]) {
  const found: unknown[] = [];
  const items = openItems((item) => found.push(item));
  const bytes = Buffer.from(text);
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    items.take(bytes.subarray(at, at + size));
    at += size;
  }
  return { rest: items.end(), found };
}

const metadata = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue());
const record = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }));
const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

test("items come one by one, and the rest afterwards, however the bytes are cut", () => {
  fc.assert(
    fc.property(metadata, fc.array(record), sizes, fc.constantFrom(0, 2), (metadata, items, sizes, indent) => {
      const text = JSON.stringify(
        { kind: "PodList", metadata, other: [1, { a: [] }], items, after: "items" },
        null,
        indent,
      );
      const { rest, found } = read(text, sizes);
      assert.deepEqual(found, JSON.parse(JSON.stringify(items)));
      assert.deepEqual(
        rest,
        JSON.parse(JSON.stringify({ kind: "PodList", metadata, other: [1, { a: [] }], items: [], after: "items" })),
      );
    }),
  );
});

test("without items there are none", () => {
  for (const text of [
    '{"metadata":{}}',
    '{"items":null}',
    '{"items":[]}',
    '{"metadata":{"items":[{"a":1}]}}',
    '{"not":["items",[{}]]}',
  ]) {
    assert.deepEqual(read(text), { rest: JSON.parse(text), found: [] });
  }
});

test("what is cut off or no JSON is an error", () => {
  const whole = JSON.stringify({ metadata: { continue: "x" }, items: [{ a: "}]" }, { b: ['\\"'] }] });
  assert.equal(read(whole).found.length, 2);
  for (let length = 0; length < whole.length; length += 1)
    assert.throws(() => read(whole.slice(0, length)), `${length}`);
  assert.throws(() => read('{"items":[{a}]}'));
  assert.throws(() => read("<html>"));
});

test("an item longer than any object is refused before it is whole", () => {
  const items = openItems(() => {});
  items.take(Buffer.from('{"items":[{"a":"'));
  const piece = Buffer.alloc(1024 * 1024, 0x61);
  assert.throws(
    () => {
      for (let pieces = 0; pieces < 20; pieces += 1) items.take(piece);
    },
    { code: "malformed" },
  );
});
