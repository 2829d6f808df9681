import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { readObjectRequest } from "../../src/issuer/object-request.ts";
import type { ObjectRequest__Output } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";

const good: ObjectRequest__Output = {
  door: "certificate-request",
  namespace: "shop",
  name: "web-1",
  issuer: "TenantIssuer/own",
  profile: "request",
  username: "system:serviceaccount:shop:web",
  groups: ["system:authenticated"],
  usages: ["digital signature"],
  isCa: false,
};

const hostile = fc.oneof(
  fc.constantFrom(
    "",
    "csr",
    "other",
    "pay",
    "a.b",
    "a/b",
    "-a",
    "a\nb",
    "\u009b",
    "\ud800",
    "TenantIssuer/",
    "Tenant/x",
  ),
  fc.constantFrom("a".repeat(63), "a".repeat(64), "a".repeat(253), "a".repeat(254), "a".repeat(512), "a".repeat(513)),
  fc.constantFrom(
    "TenantClusterIssuer/a.b",
    "TenantIssuer/A",
    "system:serviceaccount:pay:web",
    "system:serviceaccount:shop",
  ),
  fc.string({ unit: "binary" }),
);
const list = (lengths: readonly number[]) =>
  fc
    .tuple(fc.constantFrom(...lengths), fc.array(hostile, { maxLength: 2 }))
    .map(([length, some]) => [...Array.from({ length }, () => "a"), ...some]);
const text = fc.constantFrom("door", "namespace", "name", "issuer", "profile", "username");
const change: fc.Arbitrary<Partial<ObjectRequest__Output>> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(text, hostile).map(([member, said]) => ({ [member]: said })) },
  list([0, 1, 62, 64, 65]).map((groups) => ({ groups })),
  list([0, 1, 30, 32, 33]).map((usages) => ({ usages })),
  fc.boolean().map((isCa) => ({ isCa })),
);
const wire = fc
  .array(change, { maxLength: 3 })
  .map((changes) => changes.reduce<ObjectRequest__Output>((all, one) => ({ ...all, ...one }), good));

test("whatever an agent says of an object is refused by its rule, or taken over as it was said", () => {
  let accepted = 0;
  fc.assert(
    fc.property(wire, (said) => {
      let request: ReturnType<typeof readObjectRequest>;
      try {
        request = readObjectRequest(said);
      } catch (error) {
        assert.ok(error instanceof Refusal && error.code === "malformed", String(error));
        assert.ok(error.message.length < 200 && !/\p{Cc}/u.test(error.message), error.message);
        return;
      }
      accepted += 1;
      const { profile, name, ...rest } = said;
      assert.equal(profile, "request");
      assert.deepEqual(request, { ...rest, object: `${said.namespace}/${name}` });
      const { namespace, object, issuer, username, groups, usages } = request;
      // The slashes that part them are the only ones, so that no object is taken for another's.
      assert.equal(object.split("/").length, 2);
      assert.match(issuer, /^[A-Za-z]+\/[^/]+$/);
      assert.ok(!namespace.includes(".") && namespace.length <= 63 && name.length <= 253);
      if (request.door === "csr") assert.equal(username.split(":")[2], namespace);
      assert.ok(groups.length <= 64 && usages.length > 0 && usages.length <= 32);
      const texts = [object, issuer, username, ...groups, ...usages];
      for (const text of texts) assert.ok(Buffer.from(text).toString() === text && !/\p{Cc}/u.test(text));
    }),
    { numRuns: 2000 },
  );
  assert.ok(accepted > 200, `only ${accepted} were read, so this says little`);
});

test("a request that says nothing of its object is refused", () => {
  for (const nothing of [null, undefined]) assert.throws(() => readObjectRequest(nothing), /it is empty/);
});
