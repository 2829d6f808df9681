import assert from "node:assert/strict";
import { test } from "node:test";
import { toLines } from "../../src/ctl/findings.ts";
import { toFields, toJson, toTable } from "../../src/ctl/output.ts";

/** A name that clears the screen, says another thing on a line of its own, in another window's title, and backwards. */
const hostile = "a\u001b[2J\nok hub granted\r\u009b31m\u001b]0;x\u0007\u202egnp.\u2028b\u007f";
const shown = String.raw`a\u001b[2J\u000aok hub granted\u000d\u009b31m\u001b]0;x\u0007\u202egnp.\u2028b\u007f`;

test("what others have written makes no line and does nothing to a terminal", () => {
  assert.equal(toFields([["why", hostile]]), `why: ${shown}\n`);
  assert.equal(toTable(["NAME", "B"], [[hostile, "c"]]), `${"NAME".padEnd(shown.length)}  B\n${shown}  c\n`);
  const found = toLines([{ id: "hub", state: "fail", says: hostile, fix: hostile }]);
  assert.equal(found, `FAIL  hub  ${shown}\n           fix this first: ${shown}\n`);
});

test("what is ours is printed as it is, in any script", () => {
  assert.equal(toFields([["why", "müßig – 東京 🔑"]]), "why: müßig – 東京 🔑\n");
});

test("JSON has it whole, and in no form that a terminal would take", () => {
  const text = toJson({ [hostile]: [hostile, "東京"] });
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Bidi_Control}\u2028]/u);
  assert.deepEqual(JSON.parse(text), { [hostile]: [hostile, "東京"] });
});
