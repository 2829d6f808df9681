/** Made state in SQLite: each change and its act are one write. */
import { isKeyAlgorithm } from "../custody/algorithm.ts";
import { type Change, prepareChange, unlessTaken } from "./change.ts";
import type { Connection } from "./connection.ts";
import { blob, date, optionalText, type Row, text } from "./rows.ts";
import { fetchedState, joinState, proposalState } from "./sqlite-keys.ts";
import type {
  AcknowledgementRecord,
  AuthorityKind,
  AuthorityRecord,
  AuthorityState,
  State,
  SuspensionKey,
} from "./state.ts";

const kinds: Readonly<Record<AuthorityKind, true>> = { hub: true, root: true, serving: true, tenant: true };
const states: Readonly<Record<AuthorityState, true>> = {
  prepared: true,
  active: true,
  retiring: true,
  retired: true,
  revoked: true,
};

/** Agents of one cluster whose word is kept, newest first: each pod has a name of its own, and a stolen one as many as it likes. */
const agentsMax = 64;

export function createState(connection: Connection, now: () => Date): State {
  const change = prepareChange(connection, now);
  return {
    async act(act) {
      change(act, () => true);
    },
    ...authorityState(connection, change),
    ...joinState(connection, change),
    ...proposalState(connection, change),
    ...fetchedState(connection),
    ...suspensionState(connection, change),
    ...acknowledgementState(connection),
  };
}

function authorityState(connection: Connection, change: Change): Pick<State, "authorities" | "addAuthority"> {
  const select = connection.prepare("SELECT * FROM authorities ORDER BY rowid");
  const insert = connection.prepare(
    `INSERT INTO authorities (id, kind, owner, state, algorithm, key_name, certificate, parent, not_before, not_after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return {
    async authorities() {
      return select.all().map(toAuthority);
    },
    async addAuthority(record, act) {
      const { id, kind, owner, state, algorithm, keyName, certificate, parent, notBefore, notAfter } = record;
      change(act, () => {
        unlessTaken(
          () =>
            insert.run(id, kind, owner, state, algorithm, keyName, certificate, parent ?? null, +notBefore, +notAfter),
          `the authority ${id} exists, or ${kind} ${owner} has an active one`,
        );
        return true;
      });
    },
  };
}

function suspensionState(connection: Connection, change: Change): Pick<State, "suspensions" | "setSuspended"> {
  const select = connection.prepare("SELECT kind, name FROM suspensions ORDER BY kind, name");
  const insert = connection.prepare("INSERT OR IGNORE INTO suspensions (kind, name) VALUES (?, ?)");
  const remove = connection.prepare("DELETE FROM suspensions WHERE kind = ? AND name = ?");
  return {
    async suspensions() {
      return select.all().map(toSuspension);
    },
    async setSuspended(key, suspended, act) {
      const statement = suspended ? insert : remove;
      return change(act, () => statement.run(key.kind, key.name).changes > 0);
    },
  };
}

function acknowledgementState(connection: Connection): Pick<State, "acknowledge" | "acknowledgements"> {
  const select = connection.prepare("SELECT * FROM acknowledgements ORDER BY cluster, agent");
  const upsert = connection.prepare(
    `INSERT INTO acknowledgements (cluster, agent, version, in_force_since) VALUES (?, ?, ?, ?)
     ON CONFLICT (cluster, agent) DO UPDATE SET version = excluded.version, in_force_since = excluded.in_force_since
     WHERE version <> excluded.version`,
  );
  const removeOldest = connection.prepare(
    `DELETE FROM acknowledgements WHERE cluster = ?1 AND agent NOT IN
     (SELECT agent FROM acknowledgements WHERE cluster = ?1 ORDER BY in_force_since DESC, rowid DESC LIMIT ?2)`,
  );
  return {
    async acknowledge({ cluster, agent, version, inForceSince }) {
      // If we stop before this commits, the agent counts as holding what it held before, which only holds gates longer.
      connection.transact("state", () => {
        const { changes } = upsert.run(cluster, agent, version, +inForceSince);
        if (changes > 0) removeOldest.run(cluster, agentsMax);
      });
    },
    async acknowledgements() {
      return select.all().map(toAcknowledgement);
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

function toSuspension(row: Row): SuspensionKey {
  return { kind: text(row, "kind") === "tenant" ? "tenant" : "cluster", name: text(row, "name") };
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

function isState(value: string): value is AuthorityState {
  return Object.hasOwn(states, value);
}
