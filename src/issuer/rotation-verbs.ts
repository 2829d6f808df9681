/** `root rotate`, `status`, `continue`, `hold`, `rollback`: what an operator says to the rotation of a root, the hub's own among them. */
import { createHash } from "node:crypto";
import { addRoot, checkTurn } from "../controller/root.ts";
import { decideRollBack, type RootName, type Rotation, subjectOf, type Waiting } from "../controller/rotation.ts";
import { Refusal } from "../errors.ts";
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import type { Rotation as WireRotation } from "../rpc/gen/espalier/v1/Rotation.ts";
import type { RotationRequest__Output } from "../rpc/gen/espalier/v1/RotationRequest.ts";
import type { RotationRoot } from "../rpc/gen/espalier/v1/RotationRoot.ts";
import { type AdminParts, type RootTarget, readBy, readTarget, toRootOrder, withAuthorities } from "./admin.ts";
import { wireKind } from "./describe.ts";
import { findRotation, type Rotations } from "./rotations.ts";

export interface RotationVerbParts extends AdminParts {
  readonly rotations: Rotations;
}

/** Of each kind of thing that is waited for, and of tenants and clusters, in one answer. */
const shownMax = 200;
/** In a sentence. */
const namedMax = 10;

/** Of one root, or of all. */
export async function listRotations(request: RootTarget, parts: RotationVerbParts): Promise<readonly WireRotation[]> {
  const all = await parts.rotations.look();
  if (request.target === undefined) return all.map((one) => toWire(one, false));
  const name = readTarget(request, parts);
  const found = findRotation(all, name);
  return [found === undefined ? toNone(name) : toWire(found, false)];
}

/** Makes the next root, which is trusted from now on and signs nothing. Once more, it shows what there is. */
export async function rotateRoot(request: RotationRequest__Output, parts: RotationVerbParts): Promise<WireRotation> {
  const by = readBy(request.act);
  const name = readTarget(request, parts);
  const order = toRootOrder(name, parts);
  const { kind, owner } = name;
  const found = findRotation(await parts.rotations.look(), name);
  if (found?.phase === "prepared") return toWire(found, false);
  const records = await parts.state.authorities();
  checkTurn(name, "prepared", records);
  if (!records.some((r) => r.kind === kind && r.owner === owner && r.state === "active"))
    throw new Refusal("not-ready", `"${owner}" has no root yet: \`espalier root create\` makes the first`);
  if (request.dryRun) return { ...toNone(name), changed: true };
  await addRoot(order, by, parts, { material: { kind: "made" }, state: "prepared" });
  parts.log.info("root rotation begun", { kind, owner, operator: by.operator });
  return await after(name, parts);
}

export async function holdRotation(request: RotationRequest__Output, parts: RotationVerbParts): Promise<WireRotation> {
  const { by, rotation, name } = await find(request, parts);
  if (request.dryRun) return toWire(rotation, !isHeld(rotation));
  // If we stop before this, it goes on; after it, no step is taken until somebody continues it.
  const changed = await parts.state.holdRotation(subjectOf(rotation).id, toAct("hold-rotation", rotation, by));
  if (!changed) return toWire(rotation, false);
  parts.log.info("root rotation held", { ...name, operator: by.operator });
  return await after(name, parts);
}

export async function continueRotation(
  request: RotationRequest__Output,
  parts: RotationVerbParts,
): Promise<WireRotation> {
  const { by, rotation, name } = await find(request, parts);
  const names = [...new Set(request.acknowledge)];
  const waiting = rotation.gate.waitingFor.filter(({ kind }) => kind === "agent" || kind === "door");
  const known = new Set([
    ...waiting.map((one) => one.name),
    ...waiting.flatMap((one) => one.name.split("/").slice(0, -1)),
  ]);
  const said = await acknowledgedOf(rotation, parts);
  const unknown = names.find((one) => !known.has(one) && !said.has(one));
  if (unknown !== undefined)
    throw new Refusal("not-found", `"${unknown}" does not hold this rotation: ${toNames(waiting)}`);
  const fresh = names.filter((one) => !said.has(one));
  if (request.dryRun) return toWire(rotation, isHeld(rotation) || fresh.length > 0);
  const act = toAct("continue-rotation", rotation, by, { acknowledged: fresh.join(" ") });
  // If we stop before this, it waits as before; after it, these are waited for no more.
  const changed = await parts.state.continueRotation(subjectOf(rotation).id, fresh, act);
  if (!changed) return toWire(rotation, false);
  parts.log.info("root rotation continued", { ...name, operator: by.operator });
  return await after(name, parts);
}

function toNames(waiting: readonly Waiting[]): string {
  if (waiting.length === 0) return "nothing does";
  const more = waiting.length > namedMax ? ` and ${waiting.length - namedMax} more` : "";
  const named = waiting.slice(0, namedMax).map(({ name }) => name);
  return `${named.join(", ")}${more} do`;
}

/** Back to the root that everybody trusts anyway. Once more, it changes nothing: only who names the newer one goes forward again. */
export async function rollBackRotation(
  request: RotationRequest__Output,
  parts: RotationVerbParts,
): Promise<WireRotation> {
  const { by, rotation, name } = await find(request, parts);
  const { coming, leaving, phase } = rotation;
  const to = request.to === "" ? await olderOf([coming, leaving], parts) : request.to;
  if (to !== leaving.id && (to !== coming.id || phase === "prepared"))
    throw new Refusal(
      "not-found",
      `${JSON.stringify(to.slice(0, 253))} is no root that this rotation can go back to: ${leaving.id} is`,
    );
  if (to === coming.id) return toWire(rotation, false);
  if (leaving.notAfter <= parts.now())
    throw new Refusal(
      "not-ready",
      `root ${leaving.id} ended ${leaving.notAfter.toISOString()}: there is no way back to it`,
    );
  if (request.dryRun) return toWire(rotation, true);
  // If we stop before this, the rotation stands as it did; after it, the old root signs, and what the new one has signed is
  // trusted until nothing is under it.
  await parts.state.turnRoot({ changes: decideRollBack(rotation) }, toAct("roll-back-root", rotation, by, { phase }));
  parts.log.info("root rolled back", { ...name, operator: by.operator });
  return await after(name, parts);
}

/** By when they were made, which no certificate says of a root that was brought. */
async function olderOf(roots: readonly AuthorityRecord[], { state }: RotationVerbParts): Promise<string> {
  const first = (await state.authorities()).find(({ id }) => roots.some((root) => root.id === id));
  if (first === undefined) throw new Error("the roots of a rotation are not in the database");
  return first.id;
}

async function find(
  request: RotationRequest__Output,
  parts: RotationVerbParts,
): Promise<{ readonly by: Pick<Act, "operator" | "reason">; readonly rotation: Rotation; readonly name: RootName }> {
  const by = readBy(request.act);
  const name = readTarget(request, parts);
  const rotation = findRotation(await parts.rotations.look(), name);
  if (rotation === undefined)
    throw new Refusal("not-ready", `no rotation of "${name.owner}" is under way: \`espalier root rotate\` begins one`);
  return { by, rotation, name };
}

/** What follows from a change follows at once, and the answer is how it stands then. */
async function after(name: RootName, parts: RotationVerbParts): Promise<WireRotation> {
  await withAuthorities(undefined, parts);
  const found = findRotation(await parts.rotations.look(), name);
  return found === undefined ? { ...toNone(name), changed: true } : toWire(found, true);
}

async function acknowledgedOf(rotation: Rotation, { state }: RotationVerbParts): Promise<ReadonlySet<string>> {
  const { id } = subjectOf(rotation);
  const marks = await state.rotationMarks();
  return new Set(marks.flatMap((mark) => (mark.kind === "acknowledged" && mark.root === id ? [mark.name] : [])));
}

function toAct(verb: string, rotation: Rotation, by: Pick<Act, "operator" | "reason">, more: Act["details"] = {}): Act {
  const { coming, leaving } = rotation;
  return {
    log: hubLog,
    verb,
    ...by,
    details: { owner: coming.owner, coming: coming.id, leaving: leaving.id, ...more },
  };
}

function isHeld({ gate }: Rotation): boolean {
  return gate.waitingFor.some(({ kind }) => kind === "hold");
}

/** Of a root that nobody rotates. */
function toNone({ kind, owner }: RootName): WireRotation {
  return { name: owner, kind: wireKind(kind), phase: "none" };
}

function toWire(rotation: Rotation, changed: boolean): WireRotation {
  const { phase, coming, leaving, gate, leaves } = rotation;
  // Many of one kind hide none of another.
  const waiting = Map.groupBy(gate.waitingFor, ({ kind }) => kind);
  const shown = [...waiting.values()].flatMap((ofKind) => ofKind.slice(0, shownMax));
  return {
    name: coming.owner,
    kind: wireKind(coming.kind),
    phase,
    coming: toWireRoot(coming),
    leaving: toWireRoot(leaving),
    held: isHeld(rotation),
    open: gate.open,
    opensAtLatest: gate.opensAtLatest?.toISOString() ?? "",
    waitingFor: shown.map(({ kind, name, says, until }) => ({ kind, name, says, until: until?.toISOString() ?? "" })),
    waiting: Object.fromEntries([...waiting].map(([kind, ofKind]) => [kind, ofKind.length])),
    certificates: leaves.reduce((sum, { count }) => sum + count, 0),
    leaves: last(leaves).map(({ tenant, cluster, door, count, firstEnd, lastEnd }) => ({
      tenant,
      cluster,
      door,
      count,
      firstEnd: firstEnd.toISOString(),
      lastEnd: lastEnd.toISOString(),
    })),
    changed,
  };
}

/** Those that hold it back the longest. */
function last(leaves: Rotation["leaves"]): Rotation["leaves"] {
  return leaves.toSorted((a, b) => +b.lastEnd - +a.lastEnd).slice(0, shownMax);
}

function toWireRoot({ id, state, notAfter, certificate }: AuthorityRecord): RotationRoot {
  const sha256 = createHash("sha256").update(certificate).digest("hex");
  return { id, state, notAfter: notAfter.toISOString(), sha256 };
}
