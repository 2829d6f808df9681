/** The clusters' token keys: what joins registered, what agents proposed, what addresses showed. */
import { Refusal } from "../errors.ts";
import type { Change } from "./made-state.ts";
import { blob, date, optionalInteger, type Row, text } from "./rows.ts";
import type { ClusterKey, FetchedKey, JoinTokenRecord, KeyProposal, State } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

export function joinState(
  stage: Stage,
  change: Change,
): Pick<State, "addJoinToken" | "joinToken" | "useJoinToken" | "registeredKeys"> {
  function* add({ tokenSha256, cluster, keyThumbprint, expiresAt, usedAt }: JoinTokenRecord): Steps<boolean> {
    const values = [tokenSha256, cluster, keyThumbprint, +expiresAt, usedAt === undefined ? null : +usedAt];
    const added = yield* alter(
      `INSERT INTO join_tokens (token_sha256, cluster, key_thumbprint, expires_at, used_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      ...values,
    );
    if (added === 0) throw new Refusal("not-ready", "the join token exists already");
    return true;
  }

  function* use(tokenSha256: Uint8Array, key: ClusterKey, at: Date): Steps<boolean> {
    const [row] = yield* select(tokenOf, tokenSha256);
    checkToken(row === undefined ? undefined : toJoinToken(row), key, at);
    yield* register(key);
    yield* alter("UPDATE join_tokens SET used_at = ? WHERE token_sha256 = ?", +at, tokenSha256);
    return true;
  }

  return {
    async addJoinToken(record, act) {
      await change(act, add(record));
    },
    async joinToken(tokenSha256) {
      const [row] = await stage.query(tokenOf, tokenSha256);
      return row === undefined ? undefined : toJoinToken(row);
    },
    async useJoinToken(tokenSha256, key, at, act) {
      await change(act, use(tokenSha256, key, at));
    },
    async registeredKeys() {
      return (await stage.query(allRegistered)).map(toClusterKey);
    },
  };
}

export function proposalState(
  stage: Stage,
  change: Change,
): Pick<State, "keyProposals" | "proposeKeys" | "approveKeys" | "rejectKeys" | "removeKeys"> {
  return {
    async keyProposals() {
      const rows = await stage.query(
        `SELECT p.cluster, p.state, p.proposed_at, k.key_thumbprint, k.jwk FROM key_proposals p
         LEFT JOIN proposed_keys k ON k.cluster = p.cluster ORDER BY p.cluster, k.key_thumbprint`,
      );
      const clusters = Map.groupBy(rows, (row) => text(row, "cluster"));
      return [...clusters.values()].flatMap(([first, ...rest]) =>
        first === undefined ? [] : [toProposal(first, [first, ...rest])],
      );
    },
    async proposeKeys(proposal, act) {
      return await change(act, propose(proposal));
    },
    async approveKeys(cluster, keyThumbprints, act) {
      await change(act, approve(cluster, keyThumbprints));
    },
    async rejectKeys(cluster, act) {
      return await change(act, reject(cluster));
    },
    async removeKeys(cluster, keyThumbprints, act) {
      return await change(act, remove(cluster, keyThumbprints));
    },
  };
}

export function fetchedState(stage: Stage): Pick<State, "fetchedKeys" | "keepFetchedKeys"> {
  function* keep(keys: readonly FetchedKey[]): Steps<void> {
    yield* alter("DELETE FROM fetched_keys");
    for (const { keyThumbprint, cluster, url, jwk } of keys) {
      const values = [keyThumbprint, cluster, url, jwk];
      yield* alter("INSERT INTO fetched_keys (key_thumbprint, cluster, url, jwk) VALUES (?, ?, ?, ?)", ...values);
    }
  }
  return {
    async fetchedKeys() {
      const rows = await stage.query("SELECT * FROM fetched_keys ORDER BY rowid");
      return rows.map((row) => ({ ...toClusterKey(row), url: text(row, "url") }));
    },
    async keepFetchedKeys(keys) {
      // If we stop before this commits, the next start knows what was in force before, and fetches the rest again.
      await stage.write(keep(keys));
    },
  };
}

const tokenOf = "SELECT * FROM join_tokens WHERE token_sha256 = ?";
const allRegistered = "SELECT * FROM registered_keys ORDER BY rowid";

function* register({ keyThumbprint, cluster, jwk }: ClusterKey): Steps<void> {
  const [owner] = yield* select("SELECT cluster FROM registered_keys WHERE key_thumbprint = ?", keyThumbprint);
  if (owner !== undefined && text(owner, "cluster") !== cluster) {
    throw new Refusal("not-this-caller", `the key ${keyThumbprint} belongs to another cluster`);
  }
  yield* alter(
    `INSERT INTO registered_keys (key_thumbprint, cluster, jwk) VALUES (?, ?, ?)
     ON CONFLICT (key_thumbprint) DO UPDATE SET jwk = excluded.jwk`,
    keyThumbprint,
    cluster,
    jwk,
  );
}

function* unregister(cluster: string, keyThumbprint: string): Steps<number> {
  return yield* alter("DELETE FROM registered_keys WHERE cluster = ? AND key_thumbprint = ?", cluster, keyThumbprint);
}

function* registeredOf(cluster: string): Steps<readonly ClusterKey[]> {
  return (yield* select("SELECT * FROM registered_keys WHERE cluster = ?", cluster)).map(toClusterKey);
}

function* proposedOf(cluster: string): Steps<readonly ClusterKey[]> {
  return (yield* select("SELECT * FROM proposed_keys WHERE cluster = ? ORDER BY key_thumbprint", cluster)).map(
    toClusterKey,
  );
}

function* propose({ cluster, state, keys, proposedAt }: KeyProposal): Steps<boolean> {
  if (isSame(yield* proposedOf(cluster), thumbprintsOf(keys))) return false;
  yield* alter(
    `INSERT INTO key_proposals (cluster, state, proposed_at) VALUES (?, ?, ?)
     ON CONFLICT (cluster) DO UPDATE SET state = excluded.state, proposed_at = excluded.proposed_at`,
    cluster,
    state,
    +proposedAt,
  );
  yield* alter("DELETE FROM proposed_keys WHERE cluster = ?", cluster);
  for (const { keyThumbprint, jwk } of keys) {
    const values = [cluster, keyThumbprint, jwk];
    yield* alter("INSERT INTO proposed_keys (cluster, key_thumbprint, jwk) VALUES (?, ?, ?)", ...values);
  }
  return true;
}

function* approve(cluster: string, keyThumbprints: readonly string[]): Steps<boolean> {
  const proposed = yield* proposedOf(cluster);
  if (proposed.length === 0 || !isSame(proposed, keyThumbprints)) {
    const those = thumbprintsOf(proposed).join(" ");
    throw new Refusal(
      "not-ready",
      `cluster "${cluster}" proposes ${those === "" ? "no keys" : `other keys: ${those}`}`,
    );
  }
  for (const { keyThumbprint } of yield* registeredOf(cluster)) {
    if (!keyThumbprints.includes(keyThumbprint)) yield* unregister(cluster, keyThumbprint);
  }
  for (const key of proposed) yield* register(key);
  yield* alter("UPDATE key_proposals SET state = 'approved' WHERE cluster = ?", cluster);
  return true;
}

function* reject(cluster: string): Steps<boolean> {
  const sql = "UPDATE key_proposals SET state = 'rejected' WHERE cluster = ? AND state = 'pending'";
  return (yield* alter(sql, cluster)) > 0;
}

function* remove(cluster: string, keyThumbprints: readonly string[] | undefined): Steps<boolean> {
  const tokens = yield* select(
    "SELECT DISTINCT key_thumbprint FROM join_tokens WHERE cluster = ? AND used_at IS NULL",
    cluster,
  );
  const named = keyThumbprints ?? [
    ...thumbprintsOf(yield* registeredOf(cluster)),
    ...tokens.map((row) => text(row, "key_thumbprint")),
  ];
  let changes = 0;
  for (const one of named) {
    changes += yield* unregister(cluster, one);
    const sql = "DELETE FROM join_tokens WHERE cluster = ? AND key_thumbprint = ? AND used_at IS NULL";
    changes += yield* alter(sql, cluster, one);
  }
  // Or an agent that says the same again would bring it back where proposals are taken.
  const proposed = thumbprintsOf(yield* proposedOf(cluster));
  if (keyThumbprints === undefined || named.some((one) => proposed.includes(one))) {
    const sql = "UPDATE key_proposals SET state = 'rejected' WHERE cluster = ? AND state <> 'rejected'";
    changes += yield* alter(sql, cluster);
  }
  return changes > 0;
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

/** From a row for each key; without keys, one row that has none. */
function toProposal(row: Row, rows: readonly Row[]): KeyProposal {
  const state = text(row, "state");
  return {
    cluster: text(row, "cluster"),
    state: state === "pending" || state === "approved" ? state : "rejected",
    keys: rows.filter((key) => key["key_thumbprint"] !== null).map(toClusterKey),
    proposedAt: date(row, "proposed_at"),
  };
}

function toClusterKey(row: Row): ClusterKey {
  return { cluster: text(row, "cluster"), keyThumbprint: text(row, "key_thumbprint"), jwk: text(row, "jwk") };
}
