/**
 * The story of a certificate. Every door leads here, one line a step:
 *
 *   authenticate   who asks, by what the issuer itself can check
 *   judge          which tenant, and what it may have
 *   prepare        the exact bytes, linted
 *   intend         those bytes durably in the ledger; before this line nothing exists, after it nothing is forgotten
 *   sign           only an intent can be signed
 *   record         the signature, behind the reply
 */
import { Refusal, toRefusal } from "../errors.ts";
import type { Draft, Intended, Ledger } from "../ledger/ledger.ts";
import { verifyCsr } from "../pki/csr.ts";
import type { Judged } from "./allowed.ts";
import { authenticate } from "./authenticate.ts";
import type { Admitted, Asked, Outcome } from "./item.ts";
import { judge } from "./judge.ts";
import { prepare } from "./prepare.ts";
import type { Quotas } from "./quota.ts";
import { sign } from "./sign.ts";
import type { World } from "./world.ts";

export interface IssueParts {
  readonly world: () => World;
  readonly ledger: Ledger;
  readonly quotas: Quotas;
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** Before the queue: who asks? What cannot prove itself never waits in anybody's line. @throws Refusal. */
export async function admit(asked: Asked, cluster: string, parts: IssueParts): Promise<Admitted> {
  const proven = await authenticate(asked.proof, cluster, parts);
  return { asked, cluster, proven };
}

/**
 * Behind the queue: a batch, one durable write for all of it. Each step is taken by all of it before the next: so the
 * processor has the step's code and tables at hand, a twentieth of what a certificate costs. The outcomes are in the order
 * of the requests.
 */
export async function issue(batch: readonly Admitted[], parts: IssueParts): Promise<readonly Outcome[]> {
  const world = parts.world();
  const at = parts.now();
  const moment = { now: () => at, random: parts.random };
  const judged = batch.map((admitted) => attempt("", () => judgeCsr(admitted, world, at)));
  const within = judged.map((one) =>
    isRefused(one) ? one : attempt(one.allowed.log, () => takeQuota(one, world, parts.quotas, at)),
  );
  // After the judgement, which costs next to nothing: nobody makes us verify a key that will get nothing.
  const proven = within.map((one) => (isRefused(one) ? one : attempt(one.allowed.log, () => provePossession(one))));
  const drafted = proven.map((one) =>
    isRefused(one) ? one : attempt(one.allowed.log, () => prepare(one.allowed, one.csr.spki, moment)),
  );
  const drafts = drafted.filter((one): one is Draft => !isRefused(one));
  const intended = await parts.ledger.intend(drafts).then((all) => all.values(), toRefusal);
  return await Promise.all(
    drafted.map((one) => {
      if (isRefused(one)) return Promise.resolve(one);
      const next = intended instanceof Refusal ? intended : intended.next().value;
      return finish(one.log, next, world, parts);
    }),
  );
}

type Refused = Extract<Outcome, { readonly kind: "refused" }>;

function judgeCsr(admitted: Admitted, world: World, at: Date): Judged {
  if (at > admitted.asked.deadline) throw new Refusal("overloaded", "the request waited longer than its caller does");
  return judge(admitted, world);
}

/** By itself, so that a refusal is counted as its tenant's. */
function takeQuota(judged: Judged, world: World, quotas: Quotas, at: Date): Judged {
  const { allowed } = judged;
  const limits = world.declared.tenants.get(allowed.log)?.quotas;
  if (limits !== undefined) quotas.take(allowed, limits, at);
  return judged;
}

function provePossession(judged: Judged): Judged {
  verifyCsr(judged.csr);
  return judged;
}

/** A step for one request. What it throws is that request's refusal alone. */
function attempt<T>(tenant: string, step: () => T): T | Refused {
  try {
    return step();
  } catch (error) {
    return { kind: "refused", refusal: toRefusal(error), tenant };
  }
}

function isRefused(one: object): one is Refused {
  return "refusal" in one;
}

async function finish(
  tenant: string,
  intended: Intended | Refusal | undefined,
  world: World,
  parts: IssueParts,
): Promise<Outcome> {
  try {
    if (intended === undefined) throw new Error("the ledger answered fewer drafts than it was given");
    if (intended instanceof Refusal) throw intended;
    const { leaf, chain, intent } = await sign(intended, world.authorities, parts.ledger);
    const serial = Buffer.from(intent.serial).toString("hex");
    return { kind: "issued", leaf, chain, tenant, serial, profile: intent.profile, identity: intent.identity };
  } catch (error) {
    return { kind: "refused", refusal: toRefusal(error), tenant };
  }
}
