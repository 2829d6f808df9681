import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Refusal } from "../../src/errors.ts";
import { resources, toPath } from "../../src/kube/resource.ts";

test("paths are those of the API", () => {
  assert.equal(toPath(resources.pods), "/api/v1/pods");
  assert.equal(toPath(resources.pods, { namespace: "shop", name: "web" }), "/api/v1/namespaces/shop/pods/web");
  assert.equal(toPath(resources.namespaces, { name: "shop" }), "/api/v1/namespaces/shop");
  assert.equal(toPath(resources.leases, { namespace: "x" }), "/apis/coordination.k8s.io/v1/namespaces/x/leases");
  const status = { namespace: "shop", name: "web", subresource: "status" } as const;
  assert.equal(toPath(resources.pods, status), "/api/v1/namespaces/shop/pods/web/status");
});

test("no name leads elsewhere", () => {
  for (const name of ["", ".", "..", "a/b", "a%2fb", "../secrets", "\ud800"]) {
    assert.throws(() => toPath(resources.pods, { namespace: "shop", name }), { code: "malformed" }, name);
    assert.throws(() => toPath(resources.pods, { namespace: name }), { code: "malformed" }, name);
  }
  assert.throws(() => toPath(resources.pods, { name: "web" }), { code: "malformed" });
  assert.throws(() => toPath(resources.namespaces, { namespace: "a", name: "b" }), { code: "malformed" });
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (name) => {
      try {
        const { pathname, search, hash } = new URL(toPath(resources.namespaces, { name }), "https://x");
        const [, , , , last = "", more] = pathname.split("/");
        assert.deepEqual([decodeURIComponent(last), more, search, hash], [name, undefined, "", ""]);
      } catch (error) {
        assert.ok(error instanceof Refusal);
      }
    }),
  );
});
