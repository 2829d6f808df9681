/** What a root's rotation is measured by, and its transitions. What is measured is measured again in the write that rests on it. */
import { setImmediate } from "node:timers/promises";
import { Refusal } from "../errors.ts";
import { readEntry } from "./entry.ts";
import { findAuthority, setStates } from "./made-authorities.ts";
import type { Change } from "./made-state.ts";
import { blob, integer, optionalInteger, type Row, text } from "./rows.ts";
import {
  type Against,
  isUnder,
  type LeafCount,
  type LeafFilter,
  type LivingLeaf,
  type OwnCount,
  type RootTurn,
  type RotationMark,
  type State,
} from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

/** Entries that one step looks at: some milliseconds. */
const entriesPerStep = 500;

export function rotationState(
  stage: Stage,
  change: Change,
): Pick<
  State,
  | "bundlesWith"
  | "leavesAgainst"
  | "ownAgainst"
  | "namesInUse"
  | "livingLeaves"
  | "turnRoot"
  | "rotationMarks"
  | "holdRotation"
  | "continueRotation"
> {
  return {
    async bundlesWith(root) {
      const rows = await stage.query("SELECT version FROM bundles WHERE root = ? ORDER BY version", root);
      return rows.map((row) => text(row, "version"));
    },
    async leavesAgainst(against) {
      const { kind, root, at } = against;
      return (await stage.query(countAgainst[kind], root, root, toSeconds(at))).map(toCount);
    },
    async ownAgainst({ kind, root, at }) {
      return (await stage.query(countOwn[kind], root, root, toSeconds(at))).map(toOwnCount);
    },
    async namesInUse(at) {
      return (await stage.query(inUse, toSeconds(at))).map((row) => ({
        tenant: text(row, "owner"),
        identity: text(row, "identity"),
        lastEnd: new Date(integer(row, "last") * 1000),
      }));
    },
    livingLeaves: (filter) => walkLeaves(stage, filter),
    async turnRoot(turn, act) {
      await change(act, turnRoot(turn), true);
    },
    async rotationMarks() {
      return (await stage.query("SELECT * FROM rotation_marks ORDER BY root, kind, name")).map(toMark);
    },
    async holdRotation(root, act) {
      return await change(act, hold(root));
    },
    async continueRotation(root, names, act) {
      return await change(act, goOn(root, names));
    },
  };
}

const under = "(a.parent = ? OR a.id = ?) AND e.not_after > ?";
const lacking = "e.bundle_version NOT IN (SELECT version FROM bundles WHERE root = ?) AND e.not_after > ?";
const notRevoked = "NOT EXISTS (SELECT 1 FROM revocations v WHERE v.serial = e.serial)";

/** By the index `entries_living` alone. An intent without a signature is counted as any other. */
const counted = `SELECT a.owner, e.cluster, coalesce(e.door, '') AS door, count(*) AS n, min(e.not_after) AS first, max(e.not_after) AS last
  FROM authorities a JOIN entries e ON e.authority = a.id`;
const grouped = "GROUP BY a.owner, e.cluster, e.door ORDER BY a.owner, e.cluster, door";
const countAgainst: Readonly<Record<Against["kind"], string>> = {
  without: `${counted} JOIN authorities r ON r.id = a.parent JOIN authorities g ON g.kind = r.kind AND g.owner = r.owner
    WHERE g.id = ? AND ${lacking} ${grouped}`,
  under: `${counted} WHERE ${under} ${grouped}`,
  agents: `${counted} WHERE ${under} AND e.cluster <> '' AND ${notRevoked} ${grouped}`,
};
/** Two looks into that index for each authority, however many leaves it has. */
const inUse = `SELECT owner, identity, last FROM (
    SELECT a.rowid AS place, a.owner,
      (SELECT e.identity FROM entries e WHERE e.authority = a.id AND e.not_after > ? AND e.identity LIKE 'spiffe://%' LIMIT 1) AS identity,
      (SELECT e.not_after FROM entries e WHERE e.authority = a.id ORDER BY e.not_after DESC LIMIT 1) AS last
    FROM authorities a WHERE a.kind = 'tenant' AND a.state <> 'revoked'
  ) AS used WHERE identity IS NOT NULL ORDER BY place`;
/** A few for each agent, issuer and operator: these need no index of their own. */
const countedOwn = `SELECT e.identity, e.cluster, count(*) AS n, min(e.not_after) AS first, max(e.not_after) AS last
  FROM authorities a JOIN entries e ON e.authority = a.id`;
const groupedOwn = `AND ${notRevoked} GROUP BY e.identity, e.cluster ORDER BY e.identity, e.cluster`;
const countOwn = {
  without: `${countedOwn} JOIN authorities g ON g.kind = a.kind AND g.owner = a.owner WHERE g.id = ? AND ${lacking} ${groupedOwn}`,
  under: `${countedOwn} WHERE ${under} ${groupedOwn}`,
} as const;

function* turnRoot({ changes, against, unlessHeld }: RootTurn): Steps<boolean> {
  if (unlessHeld !== undefined) {
    const [held] = yield* select("SELECT root FROM rotation_marks WHERE root = ? AND kind = 'hold'", unlessHeld);
    if (held !== undefined) throw new Refusal("not-ready", `an operator holds the rotation of root ${unlessHeld}`);
  }
  if (against !== undefined) {
    const { kind, root, at } = against;
    const [standing] = yield* select(countAgainst[kind], root, root, toSeconds(at));
    if (standing !== undefined)
      throw new Refusal("not-ready", `certificates of tenant ${text(standing, "owner")} stand against it`);
  }
  yield* setStates(changes);
  for (const { id, to } of changes) {
    const root = yield* findAuthority(id);
    if (root === undefined || isUnder(root.kind)) continue;
    // What was said was about the step that this is, or the one that it undoes.
    yield* alter("DELETE FROM rotation_marks WHERE root = ?", id);
    if (to === "active") yield* fenceBundles(id, root.kind, root.owner);
    if (to === "retired") yield* close(id);
  }
  return true;
}

/** Every bundle of this owner that lacks the active root; but one that is another owner's too, who was brought the same roots. */
function* fenceBundles(active: string, kind: string, owner: string): Steps<void> {
  const of = "SELECT b.version FROM bundles b JOIN authorities a ON a.id = b.root WHERE";
  const own = `${of} a.kind = ? AND a.owner = ?`;
  const others = `${of} a.kind <> ? OR a.owner <> ?`;
  yield* alter(`DELETE FROM fences WHERE kind = 'bundle' AND name IN (${own})`, kind, owner);
  yield* alter(
    `INSERT INTO fences (kind, name) SELECT DISTINCT 'bundle', version FROM (${own}) AS own
     WHERE version NOT IN (SELECT version FROM bundles WHERE root = ?) AND version NOT IN (${others})
     ON CONFLICT DO NOTHING`,
    kind,
    owner,
    active,
    kind,
    owner,
  );
}

/** What stands under the root signs nothing any more. */
function* close(root: string): Steps<void> {
  yield* alter(
    `INSERT INTO fences (kind, name) SELECT 'generation', id FROM authorities WHERE parent = ? OR id = ?
     ON CONFLICT DO NOTHING`,
    root,
    root,
  );
}

function* hold(root: string): Steps<boolean> {
  yield* checkTurning(root);
  return yield* mark(root, "hold", "");
}

/** Whoever speaks has looked before, and a step in between would make it a word about the next one, or about none. */
function* checkTurning(root: string): Steps<void> {
  const { state = "not there" } = (yield* findAuthority(root)) ?? {};
  if (state === "prepared" || state === "retiring") return;
  throw new Refusal("not-ready", `the rotation has gone on meanwhile, root ${root} is ${state}: look again`);
}

function* mark(root: string, kind: RotationMark["kind"], name: string): Steps<boolean> {
  const sql = "INSERT INTO rotation_marks (root, kind, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
  return (yield* alter(sql, root, kind, name)) > 0;
}

function* goOn(root: string, names: readonly string[]): Steps<boolean> {
  yield* checkTurning(root);
  let changed = (yield* alter("DELETE FROM rotation_marks WHERE root = ? AND kind = 'hold'", root)) > 0;
  for (const name of names) if (yield* mark(root, "acknowledged", name)) changed = true;
  return changed;
}

async function* walkLeaves(
  stage: Stage,
  { trustRoot = "", cluster = "", at, after }: LeafFilter,
): AsyncGenerator<LivingLeaf> {
  const under = `(SELECT a.id FROM authorities a JOIN authorities r ON r.id = a.parent
    WHERE a.kind IN ('tenant', 'delegating') AND (? = '' OR r.owner = ?))`;
  const of = [trustRoot, trustRoot, toSeconds(at)];
  const ends = `SELECT min(id) AS first, max(id) AS last FROM entries WHERE authority IN ${under} AND not_after > ? AND id > ?`;
  const [range] = await stage.query(ends, ...of, after);
  const first = range && optionalInteger(range, "first");
  const last = range && optionalInteger(range, "last");
  if (first === undefined || last === undefined) return;
  const step = `SELECT id, authority, body FROM entries WHERE authority IN ${under} AND not_after > ? AND id >= ? AND id < ?
    AND (? = '' OR cluster = ?) ORDER BY id`;
  for (let id = first; id <= last; id += entriesPerStep) {
    const rows = await stage.query(step, ...of, id, id + entriesPerStep, cluster, cluster);
    for (const row of rows) yield toLivingLeaf(row);
    await setImmediate();
  }
}

function toLivingLeaf(row: Row): LivingLeaf {
  const entry = readEntry(blob(row, "body"));
  if (entry.kind !== "intent") throw new Error(`entry ${integer(row, "id")} is no intent`);
  const { log, cluster, door, proof, notAfter, bundleVersion, renewableSince } = entry.draft;
  return {
    entry: integer(row, "id"),
    authority: text(row, "authority"),
    renewable: renewableSince !== undefined,
    log,
    cluster,
    door,
    proof,
    notAfter,
    bundleVersion,
  };
}

function toCount(row: Row): LeafCount {
  return { tenant: text(row, "owner"), door: text(row, "door"), ...toSpan(row) };
}

function toOwnCount(row: Row): OwnCount {
  return { identity: text(row, "identity"), ...toSpan(row) };
}

function toSpan(row: Row): Omit<LeafCount, "tenant" | "door"> {
  return {
    cluster: text(row, "cluster"),
    count: integer(row, "n"),
    firstEnd: new Date(integer(row, "first") * 1000),
    lastEnd: new Date(integer(row, "last") * 1000),
  };
}

function toMark(row: Row): RotationMark {
  const root = text(row, "root");
  return text(row, "kind") === "hold"
    ? { root, kind: "hold" }
    : { root, kind: "acknowledged", name: text(row, "name") };
}

/** As the ledger's columns have times. */
function toSeconds(at: Date): number {
  return Math.floor(+at / 1000);
}
