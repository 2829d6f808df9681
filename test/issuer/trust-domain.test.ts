/** A tenant's trust domain is the one that its authority was made for: while that may sign, no document says another. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { isRecord } from "../../src/kube/json.ts";
import { openAdmin, readStream } from "../../src/rpc/client.ts";
import { type Document, document, podToken, usualDocuments } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startIssuerOn } from "../support/stack.ts";
import { openThief } from "../support/thief.ts";
import { csrFor } from "../support/workload.ts";
import { issued } from "./ask.ts";

const changed = /spec\.trustDomain: cannot be changed: it was "media\.example" and would become "news\.example"/;

/** The documents of a site, in which the tenant `media` has this trust domain; none where it is deleted. */
function mediaOf(trustDomain: string | undefined): readonly Document[] {
  const rules = [{ name: "pods", clusters: ["east"], namespaces: ["media"] }];
  const media = trustDomain && document("MeshTenant", "media", { trustDomain, root: "main", rules });
  return usualDocuments().flatMap((one) => (nameOf(one) === "media" ? (media ? [media] : []) : [one]));
}

function nameOf({ metadata }: Document): unknown {
  return isRecord(metadata) ? metadata["name"] : undefined;
}

/** What revokes an authority, as the refusal says. */
async function revoke({ config }: Site, id: string): Promise<void> {
  using closing = new DisposableStack();
  const admin = closing.adopt(openAdmin(config.adminSocket), (one) => one.close());
  const act = { operator: "test", reason: "another name" };
  for await (const { done } of readStream(admin.revoke({ act, target: "authority", authority: id }))) assert.ok(done);
}

/** The authority that the refusal names. */
function namedIn(problems: unknown): string {
  const [, id] =
    /, and (\S+) signs for the one until 20\S+: declare another tenant, or revoke/.exec(String(problems)) ?? [];
  assert.ok(id !== undefined, String(problems));
  return id;
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
    await using _ = await startIssuerOn(site);
  }
  site.declare(mediaOf("news.example"));
  await assert.rejects(startIssuerOn(site), { message: changed });
  site.declare(usualDocuments());
  await using issuer = await startIssuerOn(site);
  await ask(site, issuer, "media.example");
});

test("a tenant that was deleted is declared anew with the same, or with another once its authority is revoked", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  const inForce = async (count: number): Promise<void> => {
    await eventually(() => assert.equal(issuer.log.of("resources in force").length, count));
  };
  site.declare(mediaOf(undefined));
  await inForce(1);
  site.declare(mediaOf("news.example"));
  const refused = await eventually(() => {
    const [line] = issuer.log.of("resources refused, the last good ones stay in force");
    assert.match(String(line?.fields["problems"]), changed);
    return line;
  });
  site.declare(usualDocuments());
  await inForce(2);
  await ask(site, issuer, "media.example");

  site.declare(mediaOf(undefined));
  await inForce(3);
  await revoke(site, namedIn(refused?.fields["problems"]));
  site.declare(mediaOf("news.example"));
  await inForce(4);
  await ask(site, issuer, "news.example");
});

test("an authority that was made for another trust domain signs nothing, whatever is in force", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  {
    // As if another replica had taken the other document of two, before either had made the tenant's first authority.
    using database = new DatabaseSync(site.databasePath);
    database.prepare("UPDATE authorities SET trust_domain = 'news.example' WHERE owner = 'media'").run();
  }
  await issuer.suspend("cluster", "west");
  const intents = site.intents();
  await assert.rejects(
    ask(site, issuer, "media.example"),
    /unavailable: tenant-media-\S+ was made for trust domain "news/,
  );
  assert.equal(site.intents(), intents);
});
