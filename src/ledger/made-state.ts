/** Made state, the same in every database: each change and its act are one write. */
import { Refusal } from "../errors.ts";
import { encodeAct } from "./entry.ts";
import type { Act } from "./ledger.ts";
import { authorityState, requestState } from "./made-authorities.ts";
import { fetchedState, joinState, proposalState } from "./made-keys.ts";
import { adoptionState, operatorState } from "./made-operators.ts";
import { crlState, revocationState } from "./made-revocations.ts";
import { rotationState } from "./made-rotation.ts";
import { sealedState } from "./made-sealed.ts";
import { leafHash } from "./merkle.ts";
import { retentionState } from "./retention.ts";
import { date, integer, member, type Row, text } from "./rows.ts";
import type { AcknowledgementRecord, State, Suspension, SuspensionKey, SuspensionSource } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

const suspensionKinds: Readonly<Record<SuspensionKey["kind"], true>> = { tenant: true, cluster: true, workload: true };

/** Agents of one cluster whose word is kept, newest first: each pod has a name of its own, and a stolen one as many as it likes. */
const agentsMax = 64;
/** Every write of intents reads all suspensions. */
export const deniedWorkloadsMax = 1000;

/** Runs a change and writes its act down, or neither. A change that returns false had nothing to do. */
export type Change = (act: Act, work: Steps<boolean>, holdsIntents?: boolean) => Promise<boolean>;

export function openState(stage: Stage, now: () => Date): State {
  const change: Change = (act, work, holdsIntents) =>
    // If we stop before this commits, neither the change nor its act is there, and the operator was told of neither.
    stage.write(withAct(act, work, now), holdsIntents);
  return {
    async act(act) {
      await change(act, nothing());
    },
    ...authorityState(stage, change),
    ...requestState(stage, change),
    ...joinState(stage, change),
    ...proposalState(stage, change),
    ...fetchedState(stage),
    ...suspensionState(stage, change),
    ...revocationState(stage, change, now),
    ...crlState(stage, change),
    ...acknowledgementState(stage),
    ...sealedState(stage, change),
    ...operatorState(stage, change),
    ...adoptionState(change),
    ...retentionState(stage, change),
    ...rotationState(stage, change),
  };
}

function* withAct(act: Act, work: Steps<boolean>, now: () => Date): Steps<boolean> {
  const changed = yield* work;
  if (!changed) return false;
  const body = encodeAct(act, now());
  yield* alter(
    "INSERT INTO entries (log, kind, leaf_hash, body) VALUES (?, 'act', ?, ?)",
    act.log,
    leafHash(body),
    body,
  );
  return true;
}

// oxlint-disable-next-line require-yield -- an act that changes nothing else
function* nothing(): Steps<boolean> {
  return true;
}

function suspensionState(stage: Stage, change: Change): Pick<State, "suspensions" | "setSuspended"> {
  function* set({ kind, name }: SuspensionKey, suspended: boolean, source: SuspensionSource): Steps<boolean> {
    if (!suspended) {
      const sql = "DELETE FROM suspensions WHERE kind = ? AND name = ? AND source = ?";
      return (yield* alter(sql, kind, name, source)) > 0;
    }
    const sql = "INSERT INTO suspensions (kind, name, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    const changed = (yield* alter(sql, kind, name, source)) > 0;
    if (changed && kind === "workload") yield* checkRoom();
    return changed;
  }
  return {
    async suspensions() {
      return (await stage.query("SELECT * FROM suspensions ORDER BY kind, name, source")).map(toSuspension);
    },
    async setSuspended(key, suspended, act, source = "operator") {
      return await change(act, set(key, suspended, source), true);
    },
  };
}

function* checkRoom(): Steps<void> {
  const [row] = yield* select("SELECT count(*) AS count FROM suspensions WHERE kind = 'workload'");
  if (row === undefined || integer(row, "count") <= deniedWorkloadsMax) return;
  throw new Refusal(
    "not-ready",
    `${deniedWorkloadsMax} workloads are denied already: allow some again, or suspend the tenant or the cluster`,
  );
}

function acknowledgementState(stage: Stage): Pick<State, "acknowledge" | "acknowledgements"> {
  function* keep(record: AcknowledgementRecord, wholeCluster: boolean): Steps<void> {
    const { cluster, agent, version, inForceSince, bundles } = record;
    const changed = yield* alter(
      `INSERT INTO acknowledgements (cluster, agent, version, in_force_since, bundles) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (cluster, agent) DO UPDATE SET version = excluded.version, in_force_since = excluded.in_force_since,
         bundles = excluded.bundles
       WHERE acknowledgements.version <> excluded.version OR acknowledgements.bundles <> excluded.bundles`,
      cluster,
      agent,
      version,
      +inForceSince,
      bundles.join(" "),
    );
    // What others have said before is of a time when they led.
    if (wholeCluster) yield* alter("DELETE FROM acknowledgements WHERE cluster = ? AND agent <> ?", cluster, agent);
    if (changed === 0) return;
    yield* alter(
      `DELETE FROM acknowledgements WHERE cluster = ? AND agent NOT IN
       (SELECT agent FROM acknowledgements WHERE cluster = ? ORDER BY in_force_since DESC, rowid DESC LIMIT ${agentsMax})`,
      cluster,
      cluster,
    );
  }
  return {
    async acknowledge(record, wholeCluster = false) {
      // If we stop before this commits, the agent counts as holding what it held before, which only holds gates longer.
      await stage.write(keep(record, wholeCluster));
    },
    async acknowledgements() {
      return (await stage.query("SELECT * FROM acknowledgements ORDER BY cluster, agent")).map(toAcknowledgement);
    },
  };
}

function toSuspension(row: Row): Suspension {
  return {
    kind: member(row, "kind", isSuspensionKind),
    name: text(row, "name"),
    source: text(row, "source") === "document" ? "document" : "operator",
  };
}

function toAcknowledgement(row: Row): AcknowledgementRecord {
  return {
    cluster: text(row, "cluster"),
    agent: text(row, "agent"),
    version: text(row, "version"),
    inForceSince: date(row, "in_force_since"),
    bundles: text(row, "bundles")
      .split(" ")
      .filter((version) => version !== ""),
  };
}

function isSuspensionKind(value: string): value is SuspensionKey["kind"] {
  return Object.hasOwn(suspensionKinds, value);
}
