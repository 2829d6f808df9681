/** Clusters: how they join, what keys they propose, and what their agents say that they have. */
import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import { Refusal } from "../../src/errors.ts";
import { approveKeys } from "../../src/issuer/key-verbs.ts";
import { propose } from "../../src/issuer/propose.ts";
import type { ClusterKey } from "../../src/ledger/state.ts";
import { dayMs, hourMs, isWhole, type Scene, say, sha256, toAct } from "./scene.ts";

/** Of west and north, which may want the same. */
const sharedKeys = makeKeys(3);
/** Of cape and of islet alone. */
const capeKeys = makeKeys(2);
const isletKeys = makeKeys(2);

function makeKeys(count: number): readonly ClusterKey[] {
  return Array.from({ length: count }, () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = publicKey.export({ format: "jwk" });
    const canonical = JSON.stringify({ crv: jwk["crv"], kty: jwk["kty"], x: jwk["x"], y: jwk["y"] });
    const keyThumbprint = createHash("sha256").update(canonical).digest("base64url");
    return { cluster: "", keyThumbprint, jwk: JSON.stringify(jwk) };
  });
}

export async function acknowledge({ life, random, clock }: Scene): Promise<void> {
  const agent = `agent-${random.below(3)}`;
  const bundles = [life.world().authorities.bundleOf("root", "main").version];
  const inForceSince = clock.now();
  await life.state.acknowledge({ cluster: "east", agent, version: `v${random.below(3)}`, inForceSince, bundles });
}

export async function joinToken({ life, book, random, clock }: Scene): Promise<void> {
  const { keyThumbprint } = random.pick(sharedKeys);
  const token = randomUUID();
  const act = toAct("create-join-token", "west");
  const expiresAt = new Date(+clock.now() + 365 * dayMs);
  await life.state.addJoinToken({ tokenSha256: sha256(token), cluster: "west", keyThumbprint, expiresAt }, act);
  if (life.dead()) return;
  book.spent.set(`${token} ${keyThumbprint}`, false);
  book.told.add(act.reason);
}

/** Spent once; a second use is refused, and so is that of a key which another cluster has. */
export async function useJoinToken(scene: Scene): Promise<void> {
  const { life, book, random, clock } = scene;
  if (![...book.spent.values()].includes(false)) await joinToken(scene);
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

export async function proposal({ life, book, random, clock }: Scene): Promise<void> {
  const some = sharedKeys.filter(() => random.next() < 0.5);
  const keys = (some.length === 0 ? sharedKeys : some).map((key) => ({ ...key, cluster: "north" }));
  const act = toAct("propose-keys", "north");
  const proposed = { cluster: "north", state: "pending", keys, proposedAt: clock.now() } as const;
  const written = await life.state.proposeKeys(proposed, act);
  if (life.dead()) return;
  if (written) book.told.add(act.reason);
  await life.live.refresh();
}

/** Approved, rejected, or all keys taken away again. */
export async function decision(scene: Scene): Promise<void> {
  const whole = isWhole(scene);
  for (const what of whole
    ? (["approve", "remove", "reject"] as const)
    : [scene.random.pick(["approve", "reject"] as const)]) {
    await proposal(scene);
    await decide(what, whole ? "north" : scene.random.pick(["north", "west"]), scene);
  }
}

async function decide(what: "approve" | "reject" | "remove", cluster: string, { life, book }: Scene): Promise<void> {
  const proposed = (await life.state.keyProposals()).find(({ cluster }) => cluster === "north");
  const thumbprints = proposed?.keys.map(({ keyThumbprint }) => keyThumbprint) ?? [];
  const act = toAct(`${what}-keys`, "north");
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

/** What an agent of this cluster sees at its API server. */
async function see(cluster: string, keys: readonly ClusterKey[], { life, clock }: Scene): Promise<void> {
  const agent = { cluster, notAfter: new Date(+clock.now() + hourMs), serial: "00" };
  await propose(JSON.stringify({ keys: keys.map(({ jwk }): unknown => JSON.parse(jwk)) }), agent, life);
}

/** Taken at its agent's word. */
export async function taking(scene: Scene): Promise<void> {
  const known = scene.life.world().findCluster("islet")?.keys() ?? [];
  const now = known.length === 1 ? isletKeys : isletKeys.slice(0, 1);
  await see("islet", now, scene);
  const taken = scene.life.world().findCluster("islet")?.keys() ?? [];
  if (!scene.life.dead() && taken.length !== now.length) scene.book.faults.push("islet's keys are not taken");
}

/** Its API server shows other keys for a while, and then those in force again. */
export async function withdrawing(scene: Scene): Promise<void> {
  const { life } = scene;
  const [first, second] = capeKeys.map((key) => [{ ...key, cluster: "cape" }]);
  if (first === undefined || second === undefined) throw new Error("cape has two keys");
  if (life.world().findCluster("cape")?.keys().length === 0) {
    await see("cape", first, scene);
    const keyThumbprints = first.map(({ keyThumbprint }) => keyThumbprint);
    const request = { cluster: "cape", keyThumbprints, dryRun: false };
    await say(scene, async (act) => await approveKeys({ ...request, act }, life));
  }
  await see("cape", second, scene);
  await see("cape", first, scene);
  if (!life.dead() && life.world().findCluster("cape")?.proposed().length !== 0)
    scene.book.faults.push("cape's proposal is not withdrawn");
}

export async function fetchedKeys({ life, random }: Scene): Promise<void> {
  const keys = sharedKeys.filter(() => random.next() < 0.5);
  await life.state.keepFetchedKeys(keys.map((key) => ({ ...key, cluster: "south", url: "https://south.example" })));
}

function keyOf(thumbprint: string): ClusterKey {
  const found = sharedKeys.find(({ keyThumbprint }) => keyThumbprint === thumbprint);
  if (found === undefined) throw new Error(`no key ${thumbprint}`);
  return found;
}
