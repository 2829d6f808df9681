/** What happens to an issuer in its life: requests, verbs and time. Each step says in the book what came of it. */
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { addRoot } from "../../src/controller/root.ts";
import { Refusal } from "../../src/errors.ts";
import { admit, issue } from "../../src/issuer/issue.ts";
import type { Outcome } from "../../src/issuer/item.ts";
import { issueOwn } from "../../src/issuer/own.ts";
import { renewAuthorities } from "../../src/issuer/renew.ts";
import { type Act, hubLog } from "../../src/ledger/ledger.ts";
import type { ClusterKey, SuspensionKey } from "../../src/ledger/state.ts";
import type { Random } from "../support/random.ts";
import type { Book } from "./book.ts";
import { type Clock, Killed, type Life } from "./life.ts";
import { declared, spareRoot, type Tenant, tenants, toAsked } from "./mesh.ts";

export interface Scene {
  readonly life: Life;
  readonly book: Book;
  readonly random: Random;
  readonly clock: Clock;
}

type Step = (scene: Scene) => Promise<void>;

const dayMs = 86_400_000;
/** One key for every request: what it costs to make one is nobody's question here. */
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
/** Requests that are made again and again, as a controller's are. */
const uids = ["uid-1", "uid-2", "uid-3"];
const foreignKeys: readonly ClusterKey[] = ["one", "two", "three"].map(() => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = publicKey.export({ format: "jwk" });
  const canonical = JSON.stringify({ crv: jwk["crv"], kty: jwk["kty"], x: jwk["x"], y: jwk["y"] });
  const keyThumbprint = createHash("sha256").update(canonical).digest("base64url");
  return { cluster: "", keyThumbprint, jwk: JSON.stringify(jwk) };
});

/** How often each is drawn, of the sum. */
const weights: readonly (readonly [name: string, weight: number, step: Step])[] = [
  ["requests", 10, requests],
  ["own certificate", 2, ownCertificate],
  ["suspend or resume", 3, suspendOrResume],
  ["sequence", 3, async ({ life }) => await life.sequencer.sequence()],
  ["authorities", 3, authorities],
  ["time", 3, time],
  ["root", 1, root],
  ["acknowledge", 1, acknowledge],
  ["join token", 1, joinToken],
  ["use of a join token", 2, useJoinToken],
  ["proposal", 2, proposal],
  ["decision on a proposal", 2, decision],
  ["fetched keys", 1, fetchedKeys],
];
const sum = weights.reduce((all, [, weight]) => all + weight, 0);

/** Draws one step and takes it. What fails as an outage does is no fault; anything else is. */
export async function takeStep(scene: Scene): Promise<void> {
  let drawn = scene.random.below(sum);
  const found = weights.find(([, weight]) => (drawn -= weight) < 0);
  if (found === undefined) throw new Error("no step was drawn");
  const [name, , step] = found;
  await attempt(name, scene, async () => await step(scene));
}

/** True when it was done, and whoever asked was told so. */
export async function attempt(name: string, { life, book }: Scene, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    book.steps.push(`${name}: ${life.dead() ? "killed" : "done"}`);
    return !life.dead();
  } catch (error) {
    book.steps.push(`${name}: ${life.dead() ? "killed" : describe(error)}`);
    if (!life.dead() && !isOutage(error))
      book.faults.push(`${name} failed, and not as an outage does: ${describe(error)}`);
    return false;
  }
}

export function isOutage(error: unknown): boolean {
  return error instanceof Killed || (error instanceof Refusal && error.code === "unavailable");
}

function describe(error: unknown): string {
  if (error instanceof Refusal) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
}

/** Some at once, as they come out of the queue; some of them for the second time. */
async function requests(scene: Scene): Promise<void> {
  const { random } = scene;
  const asked = Array.from({ length: 1 + random.below(5) }, () => {
    const tenant = random.pick(tenants);
    return { tenant, key: random.next() < 0.4 ? `${tenant}-${random.pick(uids)}` : "" };
  });
  await request(asked, scene);
}

export interface Request {
  readonly tenant: Tenant;
  /** Empty for none. */
  readonly key: string;
}

/** What each came to; where the issuer is dead by then, nobody hears. */
export async function request(asked: readonly Request[], { life, book, clock }: Scene): Promise<readonly Outcome[]> {
  const admitted = asked.map(
    async ({ tenant, key }) => await admit(toAsked(tenant, privateKey, clock.now(), key), "east", life),
  );
  const outcomes = await issue(await Promise.all(admitted), life);
  if (life.dead()) return [];
  for (const [n, outcome] of outcomes.entries()) {
    const one = asked[n];
    if (one !== undefined) judgeOutcome(outcome, one, book);
  }
  return outcomes;
}

function judgeOutcome(outcome: Outcome, { tenant, key: idempotencyKey }: Request, book: Book): void {
  const suspended = book.suspended({ kind: "tenant", name: tenant });
  if (outcome.kind === "issued") {
    book.held.push({ leaf: outcome.leaf, idempotencyKey });
    if (suspended === true) book.faults.push(`${tenant} is suspended and got a certificate`);
    return;
  }
  const { code } = outcome.refusal;
  if (code === "suspended" && suspended !== false) return;
  // A request that waited for a slow write waited longer than its caller does.
  if (code === "unavailable" || code === "overloaded") return;
  const cause = outcome.refusal.cause;
  book.faults.push(
    `a request of ${tenant} was refused with ${code}: ${outcome.refusal.message} ${cause instanceof Error ? cause.stack : ""}`,
  );
}

/** As an agent or the issuer itself is given one. */
async function ownCertificate({ life, book }: Scene): Promise<void> {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { leaf } = await issueOwn(
    {
      profile: "agent",
      cluster: "east",
      names: { uri: "spiffe://hub.example/cluster/east", dns: [] },
      validitySeconds: 3600,
      rule: "@hub/agent/east",
      proof: "token",
      spki: publicKey.export({ type: "spki", format: "der" }),
    },
    life.world(),
    life,
  );
  if (!life.dead()) book.held.push({ leaf, idempotencyKey: "" });
}

async function suspendOrResume(scene: Scene): Promise<void> {
  const { random } = scene;
  await setSuspended({ kind: "tenant", name: random.pick(tenants) }, random.next() < 0.5, scene);
}

export async function setSuspended(key: SuspensionKey, suspended: boolean, scene: Scene): Promise<void> {
  const { life, book, random } = scene;
  const act = toAct(suspended ? "suspend-tenant" : "resume-tenant", key.name);
  book.suspend(key, book.suspended(key) === suspended ? suspended : undefined);
  const changed = await life.state.setSuspended(key, suspended, act);
  if (life.dead()) return;
  book.suspend(key, suspended);
  if (changed) book.told.add(act.reason);
  // As when another replica has written it and this one has not heard yet: the ledger itself has to refuse.
  if (!suspended || random.next() < 0.5) await life.live.refresh();
}

/** What is due, as the leader does it every minute. */
async function authorities({ life }: Scene): Promise<void> {
  await renewAuthorities(declared, life);
  await life.live.refresh();
}

/** Hours or months: long enough for authorities to be renewed and to end. */
async function time({ random, clock }: Scene): Promise<void> {
  clock.pass(random.pick([600_000, dayMs, 30 * dayMs, 120 * dayMs]) * random.next());
}

async function root({ life, book }: Scene): Promise<void> {
  const has = (await life.state.authorities()).some(({ owner }) => owner === spareRoot);
  const act = toAct("", "");
  const order = { kind: "root", owner: spareRoot, algorithm: "P-256", validityDays: 3650 } as const;
  if (!has) await addRoot(order, act, life);
  await life.live.refresh();
  if (!has && !life.dead()) book.told.add(act.reason);
}

async function acknowledge({ life, random, clock }: Scene): Promise<void> {
  const agent = `agent-${random.below(3)}`;
  await life.state.acknowledge({
    cluster: "east",
    agent,
    version: `v${random.below(3)}`,
    inForceSince: clock.now(),
    bundles: [],
  });
}

async function joinToken({ life, book, random, clock }: Scene): Promise<void> {
  const { keyThumbprint } = random.pick(foreignKeys);
  const token = randomUUID();
  const act = toAct("create-join-token", "west");
  const expiresAt = new Date(+clock.now() + 365 * dayMs);
  await life.state.addJoinToken({ tokenSha256: sha256(token), cluster: "west", keyThumbprint, expiresAt }, act);
  if (life.dead()) return;
  book.spent.set(`${token} ${keyThumbprint}`, false);
  book.told.add(act.reason);
}

/** Spent once; a second use is refused, and so is that of a key which another cluster has. */
async function useJoinToken({ life, book, random, clock }: Scene): Promise<void> {
  const [known] = [...book.spent.keys()].slice(random.below(Math.max(1, book.spent.size)));
  if (known === undefined) return;
  const [token = "", keyThumbprint = ""] = known.split(" ");
  const spent = book.spent.get(known);
  const key = { ...keyOf(keyThumbprint), cluster: "west" };
  const act = toAct("join", "west");
  try {
    book.spent.set(known, spent === true ? true : undefined);
    await life.state.useJoinToken(sha256(token), key, clock.now(), act);
    if (life.dead()) return;
    book.spent.set(known, true);
    book.told.add(act.reason);
    if (spent === true) book.faults.push("a join token was used twice");
    await life.live.refresh();
  } catch (error) {
    if (!(error instanceof Refusal) || life.dead() || error.code === "unavailable") throw error;
    // Used before, for all that is known; taken away with its key; expired; or its key is north's.
    if (error.code === "not-this-caller") book.spent.set(known, spent);
    else if (error.code !== "proof-invalid") throw error;
  }
}

async function proposal({ life, book, random, clock }: Scene): Promise<void> {
  const keys = foreignKeys.filter(() => random.next() < 0.5).map((key) => ({ ...key, cluster: "north" }));
  if (keys.length === 0) return;
  const act = toAct("propose-keys", "north");
  const proposed = { cluster: "north", state: "pending", keys, proposedAt: clock.now() } as const;
  const written = await life.state.proposeKeys(proposed, act);
  if (life.dead()) return;
  if (written) book.told.add(act.reason);
  await life.live.refresh();
}

/** Approved, rejected, or all keys taken away again. */
async function decision({ life, book, random }: Scene): Promise<void> {
  const proposed = (await life.state.keyProposals()).find(({ cluster }) => cluster === "north");
  const thumbprints = proposed?.keys.map(({ keyThumbprint }) => keyThumbprint) ?? [];
  const what = random.pick(["approve", "reject", "remove"] as const);
  const act = toAct(`${what}-keys`, "north");
  const cluster = random.pick(["north", "west"]);
  try {
    let changed = true;
    if (what === "approve") await life.state.approveKeys("north", thumbprints, act);
    else if (what === "reject") changed = await life.state.rejectKeys("north", act);
    else changed = await life.state.removeKeys(cluster, undefined, act);
    if (!life.dead() && changed) book.told.add(act.reason);
  } catch (error) {
    // Nothing is proposed, or west has one of the keys.
    const refused = error instanceof Refusal && (error.code === "not-ready" || error.code === "not-this-caller");
    if (!refused || life.dead()) throw error;
  }
  await life.live.refresh();
}

async function fetchedKeys({ life, random }: Scene): Promise<void> {
  const keys = foreignKeys.filter(() => random.next() < 0.5);
  await life.state.keepFetchedKeys(keys.map((key) => ({ ...key, cluster: "south", url: "https://south.example" })));
}

/** Its reason is its own: the ledger shows whether the act is there. */
function toAct(verb: string, name: string): Act {
  return { log: hubLog, verb, operator: "unix:ada", reason: randomUUID(), details: { name } };
}

function keyOf(thumbprint: string): ClusterKey {
  const found = foreignKeys.find(({ keyThumbprint }) => keyThumbprint === thumbprint);
  if (found === undefined) throw new Error(`no key ${thumbprint}`);
  return found;
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
