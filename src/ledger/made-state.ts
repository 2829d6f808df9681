/** Made state, the same in every database: each change and its act are one write. */
import { isKeyAlgorithm } from "../custody/algorithm.ts";
import { Refusal } from "../errors.ts";
import { encodeAct } from "./entry.ts";
import type { Act } from "./ledger.ts";
import { fetchedState, joinState, proposalState } from "./made-keys.ts";
import { adoptionState, operatorState } from "./made-operators.ts";
import { crlState, revocationState } from "./made-revocations.ts";
import { sealedState } from "./made-sealed.ts";
import { leafHash } from "./merkle.ts";
import { retentionState } from "./retention.ts";
import { blob, date, integer, optionalText, type Row, text } from "./rows.ts";
import type {
  AcknowledgementRecord,
  AuthorityChange,
  AuthorityKind,
  AuthorityRecord,
  AuthorityRequest,
  AuthorityState,
  State,
  Suspension,
  SuspensionKey,
  SuspensionSource,
} from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

const kinds: Readonly<Record<AuthorityKind, true>> = { hub: true, root: true, serving: true, tenant: true };
const states: Readonly<Record<AuthorityState, true>> = {
  prepared: true,
  active: true,
  retiring: true,
  retired: true,
  revoked: true,
};
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

function authorityState(
  stage: Stage,
  change: Change,
): Pick<State, "authorities" | "addAuthority" | "setAuthorityStates"> {
  function* set(changes: readonly AuthorityChange[]): Steps<boolean> {
    for (const { id, from, to } of changes) {
      const [row] = yield* select("SELECT * FROM authorities WHERE id = ?", id);
      const record = row === undefined ? undefined : toAuthority(row);
      if (record?.state !== from)
        throw new Refusal("not-ready", `the authority ${id} is ${record?.state ?? "not there"}, not ${from}`);
      yield* checkAlone(record.kind, record.owner, to);
      yield* alter("UPDATE authorities SET state = ? WHERE id = ?", to, id);
    }
    return true;
  }
  return {
    async authorities() {
      return (await stage.query("SELECT * FROM authorities ORDER BY rowid")).map(toAuthority);
    },
    async addAuthority(record, act) {
      await change(act, insertAuthority(record));
    },
    async setAuthorityStates(changes, act) {
      await change(act, set(changes));
    },
  };
}

function* insertAuthority(record: AuthorityRecord): Steps<boolean> {
  const { id, kind, owner, state, algorithm, keyName, certificate, parent, notBefore, notAfter } = record;
  yield* checkAlone(kind, owner, state);
  const values = [id, kind, owner, state, algorithm, keyName, certificate, parent ?? null, +notBefore, +notAfter];
  const added = yield* alter(
    `INSERT INTO authorities (id, kind, owner, state, algorithm, key_name, certificate, parent, not_before, not_after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ...values,
  );
  if (added === 0) throw new Refusal("not-ready", `the authority ${id} exists`);
  return true;
}

/** Authorities whose certificate somebody else has to sign. */
function requestState(
  stage: Stage,
  change: Change,
): Pick<State, "authorityRequests" | "addAuthorityRequest" | "answerAuthorityRequest" | "withdrawAuthorityRequest"> {
  function* add({ tenant, id, root, algorithm, csr, validityDays, requestedAt }: AuthorityRequest): Steps<boolean> {
    const added = yield* alter(
      `INSERT INTO authority_requests (tenant, id, root, algorithm, csr, validity_days, requested_at)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      tenant,
      id,
      root,
      algorithm,
      csr,
      validityDays,
      +requestedAt,
    );
    if (added === 0)
      throw new Refusal("not-ready", `an authority of tenant ${tenant} waits for its certificate already`);
    return true;
  }
  function* withdraw(id: string): Steps<boolean> {
    return (yield* alter("DELETE FROM authority_requests WHERE id = ?", id)) > 0;
  }
  function* answer(record: AuthorityRecord): Steps<boolean> {
    if (!(yield* withdraw(record.id))) throw new Refusal("not-ready", `the authority ${record.id} waits for nothing`);
    return yield* insertAuthority(record);
  }
  return {
    async authorityRequests() {
      return (await stage.query("SELECT * FROM authority_requests ORDER BY tenant")).map(toAuthorityRequest);
    },
    async addAuthorityRequest(request, act) {
      await change(act, add(request));
    },
    async answerAuthorityRequest(record, act) {
      await change(act, answer(record));
    },
    async withdrawAuthorityRequest(id, act) {
      return await change(act, withdraw(id));
    },
  };
}

/** No two of one owner sign, and no two are about to. Writes of made state wait for one another. */
function* checkAlone(kind: AuthorityKind, owner: string, state: AuthorityState): Steps<void> {
  if (state !== "prepared" && state !== "active") return;
  const sql = "SELECT id FROM authorities WHERE kind = ? AND owner = ? AND state = ?";
  const [other] = yield* select(sql, kind, owner, state);
  if (other !== undefined)
    throw new Refusal("not-ready", `${kind} ${owner} has one in state ${state} already: ${text(other, "id")}`);
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
  function* keep({ cluster, agent, version, inForceSince }: AcknowledgementRecord): Steps<void> {
    const changed = yield* alter(
      `INSERT INTO acknowledgements (cluster, agent, version, in_force_since) VALUES (?, ?, ?, ?)
       ON CONFLICT (cluster, agent) DO UPDATE SET version = excluded.version, in_force_since = excluded.in_force_since
       WHERE acknowledgements.version <> excluded.version`,
      cluster,
      agent,
      version,
      +inForceSince,
    );
    if (changed === 0) return;
    yield* alter(
      `DELETE FROM acknowledgements WHERE cluster = ? AND agent NOT IN
       (SELECT agent FROM acknowledgements WHERE cluster = ? ORDER BY in_force_since DESC, rowid DESC LIMIT ${agentsMax})`,
      cluster,
      cluster,
    );
  }
  return {
    async acknowledge(record) {
      // If we stop before this commits, the agent counts as holding what it held before, which only holds gates longer.
      await stage.write(keep(record));
    },
    async acknowledgements() {
      return (await stage.query("SELECT * FROM acknowledgements ORDER BY cluster, agent")).map(toAcknowledgement);
    },
  };
}
function toAuthority(row: Row): AuthorityRecord {
  const parent = optionalText(row, "parent");
  return {
    id: text(row, "id"),
    kind: member(row, "kind", isKind),
    owner: text(row, "owner"),
    state: member(row, "state", isState),
    algorithm: member(row, "algorithm", isKeyAlgorithm),
    keyName: text(row, "key_name"),
    certificate: blob(row, "certificate"),
    ...(parent === undefined ? {} : { parent }),
    notBefore: date(row, "not_before"),
    notAfter: date(row, "not_after"),
  };
}

function toAuthorityRequest(row: Row): AuthorityRequest {
  return {
    id: text(row, "id"),
    tenant: text(row, "tenant"),
    root: text(row, "root"),
    algorithm: member(row, "algorithm", isKeyAlgorithm),
    csr: blob(row, "csr"),
    validityDays: integer(row, "validity_days"),
    requestedAt: date(row, "requested_at"),
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
  };
}

function member<T extends string>(row: Row, column: string, isMember: (value: string) => value is T): T {
  const value = text(row, column);
  if (!isMember(value)) throw new Error(`column ${column} has ${value}, which this binary does not know`);
  return value;
}

function isKind(value: string): value is AuthorityKind {
  return Object.hasOwn(kinds, value);
}

function isSuspensionKind(value: string): value is SuspensionKey["kind"] {
  return Object.hasOwn(suspensionKinds, value);
}

function isState(value: string): value is AuthorityState {
  return Object.hasOwn(states, value);
}
