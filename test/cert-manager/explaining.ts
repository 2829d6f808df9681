/** `espalier explain certificaterequest` beside the real thing: what it says is what the agent, cert-manager and the hub made of each. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { espalier } from "../ctl/stage.ts";
import { csrOf, toRequest } from "../support/named-csr.ts";
import { becomes, makeRequest, ownIssuer, type Place } from "./objects.ts";
import type { CertManagerStage } from "./stage.ts";

interface Said {
  readonly findings: readonly { readonly id: string; readonly state: string; readonly says: string }[];
  readonly hub: { readonly code: string; readonly message: string; readonly rule: string } | null;
}

export async function explains(t: TestContext, { site, names, controller }: CertManagerStage) {
  const { client } = site.cluster;
  const requestFor = (all: string): string => toRequest(csrOf(all));
  const explain = async (place: Place, ...more: readonly string[]): Promise<readonly [code: number, said: Said]> => {
    const kubeconfig = process.env["KUBECONFIG"] ?? "";
    const argv = ["explain", "certificaterequest", `${place.namespace}/${place.name}`, "--kubeconfig", kubeconfig];
    const { code, stdout, stderr } = await espalier([...argv, "-o", "json", ...more], site.site.config.adminSocket);
    assert.notEqual(stdout, "", stderr);
    const said: Said = JSON.parse(stdout);
    return [code, said];
  };
  const firstFailed = ({ findings }: Said): string => findings.find(({ state }) => state === "fail")?.id ?? "";

  await t.test("one that was issued", async () => {
    const place = { namespace: names.shop, name: "explain-given" };
    await makeRequest(client, place, { request: requestFor("DNS:shop.example") });
    await becomes(client, place, "Issued");
    const [code, said] = await explain(place);
    assert.deepEqual([code, firstFailed(said), said.hub], [0, "", null]);
  });

  const refused = [
    ["a name that is not given", { request: requestFor("DNS:media.example") }, "request-denied"],
    ["a duration that is too long", { request: requestFor("DNS:shop.example"), duration: "8760h" }, "request-denied"],
    [
      "a SPIFFE ID of another trust domain",
      { request: requestFor(`URI:spiffe://media.example/ns/${names.shop}/sa/web`), usages: ["digital signature"] },
      "identity-denied",
    ],
    [
      "a CA of a tenant that shares its root",
      { request: requestFor("DNS:shop.example"), isCA: true },
      "request-denied",
    ],
    [
      "another tenant's issuer",
      { request: requestFor("DNS:media.example"), issuerRef: { ...ownIssuer, name: "theirs" } },
      "no-rule",
    ],
  ] as const;
  for (const [at, [what, spec, refusal]] of refused.entries())
    await t.test(`one that the hub refused for ${what}: ${refusal}`, async () => {
      const place = { namespace: names.shop, name: `explain-refused-${at}` };
      await makeRequest(client, place, spec);
      const { message } = await becomes(client, place, "Failed");
      const [code, said] = await explain(place);
      assert.deepEqual([code, said.hub?.code], [1, refusal]);
      // Between the two stands the reference of the issuer's log line.
      assert.ok(message.startsWith(`${said.hub?.message} `) && message.endsWith(`(${refusal})`), message);
    });

  await t.test("one that nobody approves, would be granted, and is denied", async () => {
    const place = { namespace: names.shop, name: "explain-waiting" };
    controller.pause();
    try {
      await makeRequest(client, place, { request: requestFor("DNS:shop.example") });
      const [code, said] = await explain(place);
      assert.deepEqual([code, firstFailed(said)], [1, "agent"]);
      assert.match(said.findings.at(2)?.says ?? "", /nobody has approved it/);
      const denied = { type: "Denied", status: "True", reason: "test", message: "not today" };
      const status = { ...place, subresource: "status" } as const;
      await mergeObject(client, resources.certificateRequests, status, { status: { conditions: [denied] } });
      await becomes(client, place, "Denied");
      assert.equal(firstFailed((await explain(place))[1]), "status");
    } finally {
      controller.resume();
    }
  });

  await t.test("one whose issuer is another namespace's", async () => {
    const place = { namespace: names.till, name: "explain-elsewhere" };
    await makeRequest(client, place, { request: requestFor("DNS:shop.example"), issuerRef: ownIssuer });
    await becomes(client, place, "Pending");
    const [code, said] = await explain(place);
    assert.deepEqual([code, firstFailed(said)], [1, "agent"]);
    assert.match(JSON.stringify(said), new RegExp(`that of namespace ${names.shop} is for its own alone`));
  });
}
