/**
 * The tables and how they came to be. A migration that was published never changes: its checksum is stored, and a
 * database that knows more migrations than this binary is refused.
 */
import { hash } from "node:crypto";
import { Refusal } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { sameBytes, toTime } from "./octets.ts";
import { blob, integer, type Row, text } from "./rows.ts";

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

/** "ESPA": which program the file belongs to (PRAGMA application_id). */
const applicationId = 0x45_53_50_41;

export const migrations: readonly Migration[] = [
  {
    name: "ledger and made state",
    sql: `
-- body is last, so that reading the columns does not touch the pages it spills to. Rows are never deleted.
CREATE TABLE entries (
  id INTEGER PRIMARY KEY,
  log TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('intent', 'act')),
  serial BLOB CHECK ((kind = 'intent') = (serial IS NOT NULL)),
  identity TEXT,
  cluster TEXT,
  authority TEXT,
  bundle_version TEXT,
  not_after INTEGER,
  idempotency_key TEXT,
  leaf_hash BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_serial ON entries (serial) WHERE serial IS NOT NULL;
CREATE UNIQUE INDEX entries_idempotency_key ON entries (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE signatures (
  entry INTEGER PRIMARY KEY REFERENCES entries (id),
  signature BLOB NOT NULL
) STRICT;

-- Where the sequencer put an entry.
CREATE TABLE leaves (
  entry INTEGER PRIMARY KEY REFERENCES entries (id),
  log TEXT NOT NULL,
  position INTEGER NOT NULL,
  UNIQUE (log, position)
) STRICT;
CREATE TABLE trees (
  log TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL,
  frontier BLOB NOT NULL
) STRICT;
CREATE TABLE heads (
  id INTEGER PRIMARY KEY,
  body BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT;
CREATE TABLE ledger_key (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  algorithm TEXT NOT NULL,
  spki BLOB NOT NULL
) STRICT;
CREATE TABLE epochs (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL
) STRICT;
INSERT INTO epochs VALUES (1, 0);

-- Times of made state are milliseconds since 1970.
CREATE TABLE authorities (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('hub', 'root', 'serving', 'tenant')),
  owner TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'retiring', 'retired', 'revoked')),
  algorithm TEXT NOT NULL,
  key_name TEXT NOT NULL,
  certificate BLOB NOT NULL,
  parent TEXT,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX authorities_active ON authorities (kind, owner) WHERE state = 'active';
CREATE TABLE join_tokens (
  token_sha256 BLOB PRIMARY KEY,
  cluster TEXT NOT NULL,
  key_thumbprint TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE TABLE joined_keys (
  key_thumbprint TEXT PRIMARY KEY,
  cluster TEXT NOT NULL,
  jwk TEXT NOT NULL
) STRICT;
CREATE TABLE suspensions (
  kind TEXT NOT NULL CHECK (kind IN ('tenant', 'cluster')),
  name TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT;
CREATE TABLE acknowledgements (
  cluster TEXT NOT NULL,
  agent TEXT NOT NULL,
  version TEXT NOT NULL,
  in_force_since INTEGER NOT NULL,
  PRIMARY KEY (cluster, agent)
) STRICT;
`,
  },
  {
    name: "proposed and fetched keys",
    sql: `
ALTER TABLE joined_keys RENAME TO registered_keys;
CREATE TABLE key_proposals (
  cluster TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'rejected')),
  proposed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE proposed_keys (
  cluster TEXT NOT NULL REFERENCES key_proposals (cluster),
  key_thumbprint TEXT NOT NULL,
  jwk TEXT NOT NULL,
  PRIMARY KEY (cluster, key_thumbprint)
) STRICT;
CREATE TABLE fetched_keys (
  key_thumbprint TEXT PRIMARY KEY,
  cluster TEXT NOT NULL,
  url TEXT NOT NULL,
  jwk TEXT NOT NULL
) STRICT;
`,
  },
  {
    name: "sealed keys",
    sql: `
CREATE TABLE sealed_keys (
  name TEXT PRIMARY KEY,
  spki BLOB NOT NULL,
  sealed_by TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
`,
  },
  {
    name: "authority requests",
    sql: `
CREATE TABLE authority_requests (
  tenant TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  root TEXT NOT NULL REFERENCES authorities (id),
  algorithm TEXT NOT NULL,
  csr BLOB NOT NULL,
  validity_days INTEGER NOT NULL,
  requested_at INTEGER NOT NULL
) STRICT;
`,
  },
  {
    name: "operators, retention and adopted history",
    sql: `
-- Who may call from elsewhere, with a certificate for this key.
CREATE TABLE operators (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  key_sha256 BLOB NOT NULL,
  made_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- Bodies of intents up to the entry due_to may go, and an act says so; those up to pruned_to have gone: they are empty.
CREATE TABLE retention (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  due_to INTEGER NOT NULL,
  pruned_to INTEGER NOT NULL
) STRICT;
INSERT INTO retention VALUES (1, 0, 0);

-- An operator has said that heads which were signed until then, and are not here, are given up.
CREATE TABLE adoption (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  lost_until INTEGER NOT NULL
) STRICT;
INSERT INTO adoption VALUES (1, 0);
`,
  },
  {
    name: "revocations",
    sql: `
-- Beside an operator's word there is a document's, and beside tenants and clusters one workload, as tenant/identity.
ALTER TABLE suspensions RENAME TO earlier_suspensions;
CREATE TABLE suspensions (
  kind TEXT NOT NULL CHECK (kind IN ('tenant', 'cluster', 'workload')),
  name TEXT NOT NULL,
  source TEXT NOT NULL DEFAULT 'operator' CHECK (source IN ('operator', 'document')),
  PRIMARY KEY (kind, name, source)
) STRICT;
INSERT INTO suspensions (kind, name) SELECT kind, name FROM earlier_suspensions;
DROP TABLE earlier_suspensions;

-- A CA's certificate too, whose authority is the root above it. not_after is in seconds, as in entries.
CREATE TABLE revocations (
  serial BLOB PRIMARY KEY,
  log TEXT NOT NULL,
  authority TEXT NOT NULL,
  not_after INTEGER NOT NULL,
  reason TEXT NOT NULL,
  revoked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_authority ON revocations (authority);
CREATE INDEX authorities_revoked ON authorities (id) WHERE state = 'revoked';

-- The newest of each authority; revocations says how many of its certificates were revoked when it was made.
CREATE TABLE crls (
  authority TEXT PRIMARY KEY,
  number INTEGER NOT NULL,
  revocations INTEGER NOT NULL,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  crl BLOB NOT NULL
) STRICT;
`,
  },
  {
    name: "root rotation",
    sql: `
-- What a rotation asks each time it looks: the unexpired leaves of an authority, by bundle and cluster, from the index alone.
CREATE INDEX entries_living ON entries (authority, not_after, bundle_version, cluster) WHERE authority IS NOT NULL;
-- Which roots a bundle held.
CREATE TABLE bundles (
  version TEXT NOT NULL,
  root TEXT NOT NULL,
  PRIMARY KEY (version, root)
) STRICT;
-- Bundles that an intent may not have any more, and authorities that may not sign one, whatever an issuer still believes.
CREATE TABLE fences (
  kind TEXT NOT NULL CHECK (kind IN ('bundle', 'generation')),
  name TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT;
-- What operators have said about the rotation of a root: that it waits, and what need not be waited for.
CREATE TABLE rotation_marks (
  root TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('hold', 'acknowledged')),
  name TEXT NOT NULL,
  PRIMARY KEY (root, kind, name)
) STRICT;
-- The versions of the bundles that were in what was acknowledged, separated by spaces.
ALTER TABLE acknowledgements ADD COLUMN bundles TEXT NOT NULL DEFAULT '';
`,
  },
  {
    name: "doors",
    sql: `
-- By which door an intent came. Missing where an issuer of before has written it: its body says so too.
ALTER TABLE entries ADD COLUMN door TEXT;
DROP INDEX entries_living;
CREATE INDEX entries_living ON entries (authority, not_after, bundle_version, cluster, door) WHERE authority IS NOT NULL;
`,
  },
  {
    name: "delegating authorities",
    sql: `
-- One kind more, of authorities that sign CA certificates and no leaves. What refers to the table is made anew with it.
DROP INDEX authorities_active;
DROP INDEX authorities_revoked;
ALTER TABLE authority_requests RENAME TO earlier_authority_requests;
ALTER TABLE authorities RENAME TO earlier_authorities;
CREATE TABLE authorities (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('hub', 'root', 'serving', 'tenant', 'delegating')),
  owner TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'retiring', 'retired', 'revoked')),
  algorithm TEXT NOT NULL,
  key_name TEXT NOT NULL,
  certificate BLOB NOT NULL,
  parent TEXT,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL
) STRICT;
INSERT INTO authorities (id, kind, owner, state, algorithm, key_name, certificate, parent, not_before, not_after)
  SELECT id, kind, owner, state, algorithm, key_name, certificate, parent, not_before, not_after
  FROM earlier_authorities ORDER BY rowid;
CREATE UNIQUE INDEX authorities_active ON authorities (kind, owner) WHERE state = 'active';
CREATE INDEX authorities_revoked ON authorities (id) WHERE state = 'revoked';
CREATE TABLE authority_requests (
  tenant TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  root TEXT NOT NULL REFERENCES authorities (id),
  algorithm TEXT NOT NULL,
  csr BLOB NOT NULL,
  validity_days INTEGER NOT NULL,
  requested_at INTEGER NOT NULL
) STRICT;
INSERT INTO authority_requests (tenant, id, root, algorithm, csr, validity_days, requested_at)
  SELECT tenant, id, root, algorithm, csr, validity_days, requested_at FROM earlier_authority_requests;
DROP TABLE earlier_authority_requests;
DROP TABLE earlier_authorities;
`,
  },
];

/**
 * Brings the database to the newest schema, in one write; `create` allows it to be empty.
 * @throws Refusal `config` when there is no ledger in it, it is another program's, or it is newer than this binary.
 */
export function migrate(connection: Connection, create: boolean, now: Date, known = migrations): void {
  checkApplication(connection, create);
  if (readApplied(connection, known) === known.length) return;
  // If we stop before this commits, the database has the schema it had, or none, and the next start does the same again.
  connection.transact("migrate", () => {
    connection.execute(`
      PRAGMA application_id = ${applicationId};
      CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL, at TEXT NOT NULL
      ) STRICT`);
    // Read again under the write lock: another process may have been here.
    const applied = readApplied(connection, known);
    const insert = connection.prepare("INSERT INTO migrations (version, name, sha256, at) VALUES (?, ?, ?, ?)");
    for (const [index, migration] of known.entries()) {
      if (index < applied) continue;
      connection.execute(migration.sql);
      insert.run(index + 1, migration.name, checksum(migration), toTime(now));
    }
  });
}

function checkApplication(connection: Connection, create: boolean): void {
  const row = connection.prepare("SELECT application_id AS id FROM pragma_application_id").get();
  if (row !== undefined && integer(row, "id") === applicationId) return;
  const empty = connection.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
  if (!empty) throw new Refusal("config", "the database belongs to another program");
  if (!create) throw new Refusal("config", 'the database is empty: run "espalier init"');
}

/** How many of the known migrations are applied. */
function readApplied(connection: Connection, known: readonly Migration[]): number {
  if (connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").get() === undefined) return 0;
  return checkApplied(connection.prepare(selectApplied).all(), known, checksum);
}

/** In the order of their versions. */
export const selectApplied = "SELECT version, name, sha256 FROM migrations ORDER BY version";

/** How many are applied. @throws Refusal `config` for one that is not known, or not as it was. */
export function checkApplied(
  rows: readonly Row[],
  known: readonly Migration[],
  checksumOf: (migration: Migration) => Uint8Array,
): number {
  for (const [index, row] of rows.entries()) {
    const migration = known[index];
    const name = `${integer(row, "version")} (${text(row, "name")})`;
    if (migration === undefined) {
      throw new Refusal(
        "config",
        `the database has schema ${name} and this binary knows ${known.length}: use a newer one`,
      );
    }
    if (integer(row, "version") !== index + 1 || !sameBytes(blob(row, "sha256"), checksumOf(migration))) {
      throw new Refusal("config", `schema ${name} of the database is not the one this binary knows`);
    }
  }
  return rows.length;
}

function checksum(migration: Migration): Uint8Array {
  return hash("sha256", migration.sql, "buffer");
}
