/** The clusters' token keys in SQLite: what joins registered, what agents proposed, what addresses showed. */
import { Refusal } from "../errors.ts";
import { type Change, unlessTaken } from "./change.ts";
import type { Connection } from "./connection.ts";
import { blob, date, optionalInteger, type Row, text } from "./rows.ts";
import type { ClusterKey, JoinTokenRecord, KeyProposal, State } from "./state.ts";

export function joinState(
  connection: Connection,
  change: Change,
): Pick<State, "addJoinToken" | "joinToken" | "useJoinToken" | "registeredKeys"> {
  const selectToken = connection.prepare("SELECT * FROM join_tokens WHERE token_sha256 = ?");
  const insertToken = connection.prepare(
    "INSERT INTO join_tokens (token_sha256, cluster, key_thumbprint, expires_at, used_at) VALUES (?, ?, ?, ?, ?)",
  );
  const useToken = connection.prepare("UPDATE join_tokens SET used_at = ? WHERE token_sha256 = ?");
  const { register, registered } = prepareRegistered(connection);

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
        register(key);
        useToken.run(+at, tokenSha256);
        return true;
      });
    },
    async registeredKeys() {
      return registered();
    },
  };
}

export function proposalState(
  connection: Connection,
  change: Change,
): Pick<State, "keyProposals" | "proposeKeys" | "approveKeys" | "rejectKeys" | "removeKeys"> {
  const { register, registered, remove } = prepareRegistered(connection);
  const selectAll = connection.prepare("SELECT * FROM key_proposals ORDER BY cluster");
  const selectKeys = connection.prepare("SELECT * FROM proposed_keys WHERE cluster = ? ORDER BY key_thumbprint");
  const upsert = connection.prepare(
    `INSERT INTO key_proposals (cluster, state, proposed_at) VALUES (?, ?, ?)
     ON CONFLICT (cluster) DO UPDATE SET state = excluded.state, proposed_at = excluded.proposed_at`,
  );
  const deleteKeys = connection.prepare("DELETE FROM proposed_keys WHERE cluster = ?");
  const insertKey = connection.prepare("INSERT INTO proposed_keys (cluster, key_thumbprint, jwk) VALUES (?, ?, ?)");
  const approve = connection.prepare("UPDATE key_proposals SET state = 'approved' WHERE cluster = ?");
  const reject = connection.prepare(
    "UPDATE key_proposals SET state = 'rejected' WHERE cluster = ? AND state = 'pending'",
  );
  const disapprove = connection.prepare(
    "UPDATE key_proposals SET state = 'rejected' WHERE cluster = ? AND state <> 'rejected'",
  );
  const deleteTokens = connection.prepare(
    "DELETE FROM join_tokens WHERE cluster = ? AND key_thumbprint = ? AND used_at IS NULL",
  );
  const selectTokens = connection.prepare(
    "SELECT DISTINCT key_thumbprint FROM join_tokens WHERE cluster = ? AND used_at IS NULL",
  );

  const proposedOf = (cluster: string): readonly ClusterKey[] => selectKeys.all(cluster).map(toClusterKey);

  return {
    async keyProposals() {
      return selectAll.all().map((row) => toProposal(row, proposedOf(text(row, "cluster"))));
    },
    async proposeKeys({ cluster, state, keys, proposedAt }, act) {
      return change(act, () => {
        if (isSame(proposedOf(cluster), thumbprintsOf(keys))) return false;
        upsert.run(cluster, state, +proposedAt);
        deleteKeys.run(cluster);
        for (const key of keys) insertKey.run(cluster, key.keyThumbprint, key.jwk);
        return true;
      });
    },
    async approveKeys(cluster, keyThumbprints, act) {
      change(act, () => {
        const proposed = proposedOf(cluster);
        if (proposed.length === 0 || !isSame(proposed, keyThumbprints)) {
          const those = thumbprintsOf(proposed).join(" ");
          throw new Refusal(
            "not-ready",
            `cluster "${cluster}" proposes ${those === "" ? "no keys" : `other keys: ${those}`}`,
          );
        }
        for (const key of registered()) {
          if (key.cluster === cluster && !keyThumbprints.includes(key.keyThumbprint))
            remove(cluster, key.keyThumbprint);
        }
        for (const key of proposed) register(key);
        approve.run(cluster);
        return true;
      });
    },
    async rejectKeys(cluster, act) {
      return change(act, () => reject.run(cluster).changes > 0);
    },
    async removeKeys(cluster, keyThumbprints, act) {
      return change(act, () => {
        const own = registered().filter((key) => key.cluster === cluster);
        const named = keyThumbprints ?? [
          ...thumbprintsOf(own),
          ...selectTokens.all(cluster).map((row) => text(row, "key_thumbprint")),
        ];
        let changes = 0;
        for (const one of named) changes += remove(cluster, one) + deleteTokens.run(cluster, one).changes;
        // Or an agent that says the same again would bring it back where proposals are taken.
        const proposed = thumbprintsOf(proposedOf(cluster));
        if (keyThumbprints === undefined || named.some((one) => proposed.includes(one)))
          changes += disapprove.run(cluster).changes;
        return changes > 0;
      });
    },
  };
}

export function fetchedState(connection: Connection): Pick<State, "fetchedKeys" | "keepFetchedKeys"> {
  const select = connection.prepare("SELECT * FROM fetched_keys ORDER BY rowid");
  const deleteAll = connection.prepare("DELETE FROM fetched_keys");
  const insert = connection.prepare("INSERT INTO fetched_keys (key_thumbprint, cluster, url, jwk) VALUES (?, ?, ?, ?)");
  return {
    async fetchedKeys() {
      return select.all().map((row) => ({ ...toClusterKey(row), url: text(row, "url") }));
    },
    async keepFetchedKeys(keys) {
      // If we stop before this commits, the next start knows what was in force before, and fetches the rest again.
      connection.transact("state", () => {
        deleteAll.run();
        for (const { keyThumbprint, cluster, url, jwk } of keys) insert.run(keyThumbprint, cluster, url, jwk);
      });
    },
  };
}

/** The registered keys, within whatever write uses them. */
function prepareRegistered(connection: Connection) {
  const select = connection.prepare("SELECT * FROM registered_keys ORDER BY rowid");
  const selectOne = connection.prepare("SELECT cluster FROM registered_keys WHERE key_thumbprint = ?");
  const insert = connection.prepare(
    `INSERT INTO registered_keys (key_thumbprint, cluster, jwk) VALUES (?, ?, ?)
     ON CONFLICT (key_thumbprint) DO UPDATE SET jwk = excluded.jwk`,
  );
  const remove = connection.prepare("DELETE FROM registered_keys WHERE cluster = ? AND key_thumbprint = ?");
  return {
    registered: (): readonly ClusterKey[] => select.all().map(toClusterKey),
    register: ({ keyThumbprint, cluster, jwk }: ClusterKey): void => {
      const owner = selectOne.get(keyThumbprint);
      if (owner !== undefined && text(owner, "cluster") !== cluster) {
        throw new Refusal("not-this-caller", `the key ${keyThumbprint} belongs to another cluster`);
      }
      insert.run(keyThumbprint, cluster, jwk);
    },
    remove: (cluster: string, keyThumbprint: string): number => remove.run(cluster, keyThumbprint).changes,
  };
}

function thumbprintsOf(keys: readonly ClusterKey[]): readonly string[] {
  return keys.map(({ keyThumbprint }) => keyThumbprint);
}

/** The same keys in any order. */
function isSame(keys: readonly ClusterKey[], keyThumbprints: readonly string[]): boolean {
  const stated = new Set(keyThumbprints);
  return keys.length === stated.size && keys.every(({ keyThumbprint }) => stated.has(keyThumbprint));
}

function checkToken(token: JoinTokenRecord | undefined, key: ClusterKey, at: Date): void {
  const wrong = (rule: string) => new Refusal("proof-invalid", `the join token ${rule}`);
  if (token === undefined) throw wrong("is unknown");
  if (token.usedAt !== undefined) throw wrong("was used already");
  if (at >= token.expiresAt) throw wrong(`expired at ${token.expiresAt.toISOString()}`);
  if (token.cluster !== key.cluster) throw wrong("is another cluster's");
  if (token.keyThumbprint !== key.keyThumbprint) throw wrong(`is not for the key ${key.keyThumbprint}`);
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

function toProposal(row: Row, keys: readonly ClusterKey[]): KeyProposal {
  const state = text(row, "state");
  return {
    cluster: text(row, "cluster"),
    state: state === "pending" || state === "approved" ? state : "rejected",
    keys,
    proposedAt: date(row, "proposed_at"),
  };
}

function toClusterKey(row: Row): ClusterKey {
  return { cluster: text(row, "cluster"), keyThumbprint: text(row, "key_thumbprint"), jwk: text(row, "jwk") };
}
