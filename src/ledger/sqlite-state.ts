/** Made state in SQLite: each change and its act are one write. */
import { isKeyAlgorithm } from "../custody/algorithm.ts";
import { Refusal } from "../errors.ts";
import { prepareInsertAct } from "./columns.ts";
import { type Connection, isUniqueViolation } from "./connection.ts";
import type { Act } from "./ledger.ts";
import { blob, date, optionalInteger, optionalText, type Row, text } from "./rows.ts";
import type {
  AcknowledgementRecord,
  AuthorityKind,
  AuthorityRecord,
  AuthorityState,
  JoinedKey,
  JoinTokenRecord,
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

/** Runs a change and writes its act down, or neither. A change that returns false had nothing to do. */
type Change = (act: Act, work: () => boolean) => boolean;

export function createState(connection: Connection, now: () => Date): State {
  const insertAct = prepareInsertAct(connection);
  const change: Change = (act, work) =>
    // If we stop before this commits, neither the change nor its act is there, and the operator was told of neither.
    connection.transact("state", () => {
      const changed = work();
      if (changed) insertAct(act, now());
      return changed;
    });
  return {
    async act(act) {
      change(act, () => true);
    },
    ...authorityState(connection, change),
    ...joinState(connection, change),
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

function joinState(
  connection: Connection,
  change: Change,
): Pick<State, "addJoinToken" | "joinToken" | "useJoinToken" | "joinedKeys"> {
  const selectToken = connection.prepare("SELECT * FROM join_tokens WHERE token_sha256 = ?");
  const insertToken = connection.prepare(
    "INSERT INTO join_tokens (token_sha256, cluster, key_thumbprint, expires_at, used_at) VALUES (?, ?, ?, ?, ?)",
  );
  const useToken = connection.prepare("UPDATE join_tokens SET used_at = ? WHERE token_sha256 = ?");
  const selectKey = connection.prepare("SELECT cluster FROM joined_keys WHERE key_thumbprint = ?");
  const insertKey = connection.prepare(
    `INSERT INTO joined_keys (key_thumbprint, cluster, jwk) VALUES (?, ?, ?)
     ON CONFLICT (key_thumbprint) DO UPDATE SET jwk = excluded.jwk`,
  );
  const selectKeys = connection.prepare("SELECT * FROM joined_keys ORDER BY rowid");

  function tokenOf(tokenSha256: Uint8Array): JoinTokenRecord | undefined {
    const row = selectToken.get(tokenSha256);
    return row === undefined ? undefined : toJoinToken(row);
  }

  return {
    async addJoinToken(record, act) {
      const { tokenSha256, cluster, keyThumbprint, expiresAt, usedAt } = record;
      const used = usedAt === undefined ? null : +usedAt;
      change(act, () => {
        unlessTaken(
          () => insertToken.run(tokenSha256, cluster, keyThumbprint, +expiresAt, used),
          "the join token exists already",
        );
        return true;
      });
    },
    async joinToken(tokenSha256) {
      return tokenOf(tokenSha256);
    },
    async useJoinToken(tokenSha256, key, at, act) {
      change(act, () => {
        checkToken(tokenOf(tokenSha256), key, at);
        const owner = selectKey.get(key.keyThumbprint);
        if (owner !== undefined && text(owner, "cluster") !== key.cluster) {
          throw new Refusal("not-this-caller", `the key ${key.keyThumbprint} belongs to another cluster`);
        }
        useToken.run(+at, tokenSha256);
        insertKey.run(key.keyThumbprint, key.cluster, key.jwk);
        return true;
      });
    },
    async joinedKeys() {
      return selectKeys.all().map((row) => ({
        cluster: text(row, "cluster"),
        keyThumbprint: text(row, "key_thumbprint"),
        jwk: text(row, "jwk"),
      }));
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

function checkToken(token: JoinTokenRecord | undefined, key: JoinedKey, at: Date): void {
  const wrong = (rule: string) => new Refusal("proof-invalid", `the join token ${rule}`);
  if (token === undefined) throw wrong("is unknown");
  if (token.usedAt !== undefined) throw wrong("was used already");
  if (at >= token.expiresAt) throw wrong(`expired at ${token.expiresAt.toISOString()}`);
  if (token.cluster !== key.cluster) throw wrong("is another cluster's");
  if (token.keyThumbprint !== key.keyThumbprint) throw wrong(`is not for the key ${key.keyThumbprint}`);
}

function unlessTaken(work: () => void, message: string): void {
  try {
    work();
  } catch (cause) {
    throw isUniqueViolation(cause) ? new Refusal("not-ready", message, { cause }) : cause;
  }
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

function toJoinToken(row: Row): JoinTokenRecord {
  const used = optionalInteger(row, "used_at");
  return {
    tokenSha256: blob(row, "token_sha256"),
    cluster: text(row, "cluster"),
    keyThumbprint: text(row, "key_thumbprint"),
    expiresAt: date(row, "expires_at"),
    ...(used === undefined ? {} : { usedAt: new Date(used) }),
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
