import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { clusterDocument, servingName, usualDocuments } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { startStack } from "../support/stack.ts";

test("a serving name that a MeshCluster is given, or loses, is in the agent's certificate at once", async () => {
  await using stack = await startStack();
  const file = join(stack.agent("east").directory, "data", "serving.pem");
  const read = (): X509Certificate =>
    new X509Certificate(readFileSync(file, "utf8").replace(/^[^]*?(?=-----BEGIN CERT)/, ""));
  const others = usualDocuments().filter((one) => JSON.stringify(one["metadata"]) !== '{"name":"east"}');
  const first = read();
  assert.equal(first.subjectAltName, `DNS:${servingName("east")}, DNS:istiod.istio-system.svc`);
  for (const names of [
    [servingName("east"), "istiod.istio-system.svc", "istiod-canary.istio-system.svc"],
    [servingName("east"), "istiod-canary.istio-system.svc"],
  ]) {
    stack.site.declare([...others, clusterDocument("east", { servingNames: names })]);
    await eventually(() => assert.equal(read().subjectAltName, names.map((name) => `DNS:${name}`).join(", ")));
  }
  const last = read();
  const told = (): number => stack.agent("east").log.of("trust in force").length;
  const before = told();
  await stack.issuer.suspend("tenant", "media");
  await eventually(() => assert.ok(told() > before));
  assert.equal(read().serialNumber, last.serialNumber, "other news asks for no certificate");
});
