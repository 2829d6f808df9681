/** Certificates: who asks for one, and what may be given. */
import { generateKeyPairSync } from "node:crypto";
import { admit, issue } from "../../src/issuer/issue.ts";
import type { Outcome } from "../../src/issuer/item.ts";
import { issueOwn } from "../../src/issuer/own.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { isSame } from "../../src/pki/der.ts";
import { type Book, isSo } from "./book.ts";
import { factOf } from "./facts.ts";
import { identityOf, type Tenant, tenants, toAsked } from "./mesh.ts";
import type { Scene } from "./scene.ts";

export interface Request {
  readonly tenant: Tenant;
  /** Empty for none. */
  readonly key: string;
}

/** Requests that are made again and again, as a controller's are. */
const uids = ["uid-1", "uid-2", "uid-3"];
const ownKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });

/** Some at once, as they come out of the queue; some of them for the second time. */
export async function askSome(scene: Scene): Promise<void> {
  const { random } = scene;
  const asked = Array.from({ length: 1 + random.below(4) }, () => {
    const tenant = random.pick(tenants);
    return { tenant, key: random.next() < 0.4 ? `${tenant}-${random.pick(uids)}` : "" };
  });
  await ask(asked, scene);
}

/** What each came to; where the issuer is dead by then, nobody hears. */
export async function ask(asked: readonly Request[], scene: Scene): Promise<readonly Outcome[]> {
  const { life, clock } = scene;
  const admitted = asked.map(async ({ tenant, key }) => await admit(toAsked(tenant, clock.now(), key), "east", life));
  const outcomes = await Promise.allSettled(admitted).then(async (all) => {
    // A suspended cluster's are refused at the door.
    const [refused] = all.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    if (refused === undefined) return await issue(await Promise.all(admitted), life);
    if (!isSuspended(asked[0]?.tenant ?? "shop", scene)) throw refused;
    return [];
  });
  if (life.dead()) return [];
  for (const [n, outcome] of outcomes.entries()) {
    const one = asked[n];
    if (one !== undefined) judgeOutcome(outcome, one, scene);
  }
  return outcomes;
}

/** By what made state was after the last step: no intent may be written for these. */
function barred(tenant: Tenant, { book, documents }: Scene): string | undefined {
  const keys = [`tenant/${tenant}`, "cluster/east", `workload/${tenant}/${identityOf(tenant)}`];
  const facts = ["operator", "document"].flatMap((source) => keys.map((key) => `${source} suspends ${key}`));
  if (tenant === "forge" && documents.edited.forge) return "its document says suspended";
  return facts.find((fact) => isSo(book, fact));
}

/** So it is, or so this issuer still thinks it is. */
function isSuspended(tenant: Tenant, scene: Scene): boolean {
  const world = scene.life.world();
  return (
    barred(tenant, scene) !== undefined ||
    world.isSuspended("tenant", tenant) ||
    world.isSuspended("cluster", "east") ||
    world.isSuspended("workload", `${tenant}/${identityOf(tenant)}`)
  );
}

function judgeOutcome(outcome: Outcome, { tenant, key: idempotencyKey }: Request, scene: Scene): void {
  const { book } = scene;
  if (outcome.kind === "issued") {
    const { leaf, chain } = outcome;
    const why = barred(tenant, scene) ?? tainted(leaf, chain.authority, book);
    if (why !== undefined) book.faults.push(`${tenant} got a certificate, but: ${why}`);
    const roots = chain.bundle.roots;
    const owner = { shop: "main", bank: "main", mint: "vault", forge: "own" }[tenant];
    const root = book.records.find((one) => one.kind === "root" && one.owner === owner && one.state === "active");
    if (idempotencyKey === "" && root !== undefined && !roots.some((one) => isSame(one, root.certificate)))
      book.faults.push(`${tenant} got a certificate with a bundle that lacks the root that signs`);
    hold(leaf, chain.authority, idempotencyKey, book);
    return;
  }
  const { code } = outcome.refusal;
  // A request that waited for a slow write waited longer than its caller does.
  if (code === "unavailable" || code === "overloaded") return;
  if (code === "suspended" && (isSuspended(tenant, scene) || isTainted(idempotencyKey, book))) return;
  if (code === "replay-differs" && idempotencyKey !== "" && book.pruned) return;
  const cause = outcome.refusal.cause;
  book.faults.push(
    `a request of ${tenant} was refused with ${code}: ${outcome.refusal.message} ${cause instanceof Error ? cause.stack : ""}`,
  );
}

function tainted(leaf: Uint8Array, authority: string, { facts, records }: Book): string | undefined {
  const revoked = facts?.get(factOf.revoked(readCertificate(leaf).serial));
  if (revoked !== undefined) return `it is revoked (${revoked})`;
  return records.some(({ id, state }) => id === authority && state === "revoked")
    ? "its authority is revoked"
    : undefined;
}

/** Whether what was given for this key is revoked, as far as anybody can know who may not have got it. */
function isTainted(idempotencyKey: string, book: Book): boolean {
  if (idempotencyKey === "") return false;
  const known = book.held.filter((one) => one.idempotencyKey === idempotencyKey);
  return known.length === 0 || known.some(({ leaf, authority }) => tainted(leaf, authority, book) !== undefined);
}

export function hold(leaf: Uint8Array, authority: string, idempotencyKey: string, book: Book): void {
  book.held.push({ leaf, authority, idempotencyKey, notAfter: readCertificate(leaf).notAfter });
}

/** As an agent or the issuer itself is given one; of a cluster that is suspended, none. */
export async function ownCertificate({ life, book }: Scene): Promise<void> {
  if (book.facts?.get(factOf.suspended("operator", "cluster", "east")) === "yes") return;
  const { leaf, chain } = await issueOwn(
    {
      profile: "agent",
      cluster: "east",
      names: { uri: "spiffe://hub.example/cluster/east", dns: [] },
      validitySeconds: 3600,
      rule: "@hub/agent/east",
      proof: "token",
      spki: ownKey,
    },
    life.world(),
    life,
  );
  if (!life.dead()) hold(leaf, chain.authority, "", book);
}
