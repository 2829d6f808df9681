import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { test } from "node:test";
import * as fc from "fast-check";
import { isInRange, readIp, readIpRange, toIpText } from "../../src/pki/ip.ts";

test("what Node takes for an address without a zone or a dotted end is one, and nothing else", () => {
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc
      .array(fc.constantFrom("0", "1", "ff", "fffff", "::", ":", ".", "256", "01"), { maxLength: 9 })
      .map((all) => all.join("")),
  );
  fc.assert(
    fc.property(text, (one) => {
      const ours = readIp(one);
      const mixed = one.includes(":") && one.includes(".");
      assert.equal(ours?.length, mixed ? undefined : { 0: undefined, 4: 4, 6: 16 }[isIP(one)], one);
      if (ours !== undefined) assert.deepEqual(readIp(toIpText(ours)), ours);
    }),
  );
});

test("a range has the addresses that Node's own has", () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((one) => !one.includes(".")),
  );
  fc.assert(
    fc.property(address, address, fc.nat(128), (from, other, bits) => {
      const family = isIP(from) === 4 ? "ipv4" : "ipv6";
      const prefix = Math.min(bits, family === "ipv4" ? 32 : 128);
      const range = readIpRange(`${from}/${prefix}`);
      const octets = readIp(other);
      assert.ok(range && octets);
      const judge = new BlockList();
      judge.addSubnet(from, prefix, family);
      const same = isIP(from) === isIP(other);
      assert.equal(isInRange(range, octets), same && judge.check(other, family));
    }),
  );
});

for (const text of ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "::/129", "10.0.0.0/8/8", "a", "10.0.0/8", "1:2"])
  test(`${JSON.stringify(text)} is no range`, () => assert.equal(readIpRange(text), undefined));
