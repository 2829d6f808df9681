/** A tenant has the trust domain of the certificates that are out: until they have ended, no document says another. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/kube/json.ts";
import { openClock } from "../support/clock.ts";
import { type Document, document, podToken, usualDocuments } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startIssuerOn } from "../support/stack.ts";
import { openThief } from "../support/thief.ts";
import { csrFor } from "../support/workload.ts";
import { issued } from "./ask.ts";

const refused = "resources refused, the last good ones stay in force";
const changed = /spec\.trustDomain: cannot be changed to "news\.example": certificates of "media\.example" are out/;

/** The documents of a site, in which the tenant `media` has this trust domain; none where it is deleted. */
function mediaOf(trustDomain: string | undefined): readonly Document[] {
  const rules = [{ name: "pods", clusters: ["east"], namespaces: ["media"] }];
  const media = trustDomain && document("MeshTenant", "media", { trustDomain, root: "main", rules });
  return usualDocuments().flatMap((one) => (nameOf(one) === "media" ? (media ? [media] : []) : [one]));
}

function nameOf({ metadata }: Document): unknown {
  return isRecord(metadata) ? metadata["name"] : undefined;
}

async function ask(site: Site, { address }: IssuerStack, trustDomain: string): Promise<Uint8Array> {
  using thief = await openThief(site, address, "east");
  const workload = { namespace: "media", serviceAccount: "player" };
  const csr = csrFor(`spiffe://${trustDomain}/ns/media/sa/player`);
  return issued(await thief.sign({ csr, token: podToken("east", workload) }));
}

test("over a restart the issuer does not start with another, and goes on with the one there was", async () => {
  using site = await makeSite();
  {
    await using issuer = await startIssuerOn(site);
    await ask(site, issuer, "media.example");
  }
  site.declare(mediaOf("news.example"));
  await assert.rejects(startIssuerOn(site), { message: changed });
  site.declare(usualDocuments());
  await using issuer = await startIssuerOn(site);
  await ask(site, issuer, "media.example");
});

test("a tenant that was deleted is declared anew with the same, and with another once nothing of the first is out", async () => {
  using site = await makeSite();
  const clock = openClock();
  await using issuer = await startIssuerOn(site, { clock });
  const inForce = async (count: number): Promise<void> => {
    await eventually(() => assert.equal(issuer.log.of("resources in force").length, count));
  };
  const told = (): string => String(issuer.log.of(refused).at(-1)?.fields["problems"]);
  // Nobody has a certificate yet.
  site.declare(mediaOf("first.example"));
  await eventually(() => assert.match(told(), /cannot be changed: it is "media\.example"/));
  site.declare(mediaOf(undefined));
  await inForce(1);
  site.declare(mediaOf("first.example"));
  await inForce(2);
  site.declare(mediaOf(undefined));
  await inForce(3);
  site.declare(usualDocuments());
  await inForce(4);
  await ask(site, issuer, "media.example");

  site.declare(mediaOf(undefined));
  await inForce(5);
  site.declare(mediaOf("news.example"));
  await eventually(() => assert.match(told(), changed));
  site.declare(usualDocuments());
  await inForce(6);
  await ask(site, issuer, "media.example");

  site.declare(mediaOf(undefined));
  await inForce(7);
  clock.offsetSeconds += 2 * 86_400;
  site.declare(mediaOf("news.example"));
  await inForce(8);
});
