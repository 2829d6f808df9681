/** A hub's directory, as `espalier init` leaves it, with its resources and its roots: real files, a real SQLite database. */
import assert from "node:assert/strict";
import { randomBytes, verify, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { run } from "../../src/ctl/run.ts";
import { digests } from "../../src/custody/algorithm.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { hubLog, type LogReport } from "../../src/ledger/ledger.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { type IssuerConfig, issuerSchema } from "../../src/ops/config.ts";
import { toPem } from "../../src/pki/pem.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { daySeconds } from "./clock.ts";
import { type Document, hubName, toYaml, usualDocuments } from "./documents.ts";

/** A hub's directory, as `espalier init` leaves it, with its resources and its roots. No process runs on it yet. */
export interface Site extends Disposable {
  readonly directory: string;
  readonly hubRootPem: string;
  readonly servingRootsPem: Readonly<Record<string, string>>;
  readonly config: IssuerConfig;
  readonly databasePath: string;
  declare(documents: readonly Document[]): void;
  /** How many entries the ledger has: intents and acts. */
  entries(): number;
  /** Certificates of workloads alone: agents renew their own whenever they like. */
  intents(): number;
  /** Intents without a recorded signature. */
  unrecorded(): number;
  /** What the newest entry of a log says. */
  newest(log: string): Readonly<Record<string, unknown>>;
  /** All of the ledger verified, signatures included; it must hold. */
  verify(): Promise<readonly LogReport[]>;
}

export interface SiteOptions {
  readonly documents?: readonly Document[];
  /** Clusters that get a serving root. */
  readonly serving?: readonly string[];
  /** When its roots and authorities were made; so that a test can go back in time and find them there. */
  readonly bornDaysAgo?: number;
  readonly config?: Partial<IssuerConfig>;
}

export async function makeSite(options: SiteOptions = {}): Promise<Site> {
  const { documents = usualDocuments(), serving = ["east", "west"], bornDaysAgo = 0 } = options;
  const directory = mkdtempSync(join(tmpdir(), "espalier-stack-"));
  const born = new Date(Date.now() - bornDaysAgo * daySeconds * 1000);
  const now = (): Date => born;
  const code = await run(["init", "--hub", hubName, "--dir", directory], {
    stdout: () => {},
    stderr: (text) => assert.fail(text),
    isTerminal: false,
    user: "test",
    defaultSocket: "",
    now,
    signals: process,
  });
  assert.equal(code, 0);
  const config = issuerSchema.parse({
    hub: hubName,
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    adminSocket: join(directory, "admin.sock"),
    resources: join(directory, "resources"),
    database: join(directory, "espalier.db"),
    keys: join(directory, "keys"),
    ...options.config,
  });
  // As an editor saves: whoever watches the folder finds all of the old ones, or all of the new.
  const declare = (all: readonly Document[]): void => {
    const saved = join(directory, "resources", ".all.yaml");
    writeFileSync(saved, toYaml(all));
    renameSync(saved, join(directory, "resources", "all.yaml"));
  };
  declare(documents);
  const servingRootsPem = await makeRoots(config, serving, now);
  const count = (where: string): number => {
    using database = new DatabaseSync(config.database, { readOnly: true });
    return Number(database.prepare(`SELECT count(*) AS n FROM entries ${where}`).get()?.["n"]);
  };
  return {
    directory,
    hubRootPem: readFileSync(join(directory, "hub-root.pem"), "utf8"),
    servingRootsPem,
    config,
    databasePath: config.database,
    declare,
    entries: () => count(""),
    intents: () => count(`WHERE kind = 'intent' AND log <> '${hubLog}'`),
    unrecorded: () => count("WHERE kind = 'intent' AND id NOT IN (SELECT entry FROM signatures)"),
    newest: (log) => {
      using database = new DatabaseSync(config.database, { readOnly: true });
      const row = database.prepare("SELECT body FROM entries WHERE log = ? ORDER BY id DESC LIMIT 1").get(log);
      assert.ok(row?.["body"] instanceof Uint8Array);
      return JSON.parse(Buffer.from(row["body"]).toString("utf8"));
    },
    verify: async () => await verifyAll(config),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

async function makeRoots(
  config: IssuerConfig,
  serving: readonly string[],
  now: () => Date,
): Promise<Readonly<Record<string, string>>> {
  const declared = await loadDirectory(config.resources, { hub: config.hub });
  const custody = await openFileCustody({ directory: config.keys });
  await using database = await openSqlite({ path: config.database, now, create: false });
  const parts = { state: database.state, custody, now, random: (n: number) => randomBytes(n) };
  const by = { operator: "unix:test", reason: "test" };
  for (const { name } of declared.roots.values())
    await addRoot({ kind: "root", owner: name, algorithm: "P-256", validityDays: 3650 }, by, parts);
  await makeAuthorities(declared, parts);
  const pems: Record<string, string> = {};
  for (const owner of serving) {
    const root = await addRoot({ kind: "serving", owner, algorithm: "P-256", validityDays: 3650 }, by, parts);
    pems[owner] = toPem("CERTIFICATE", root.certificate);
  }
  return pems;
}

/** Through the operators' verb of an issuer that is not running: by the database itself. */
async function verifyAll(config: IssuerConfig): Promise<readonly LogReport[]> {
  await using database = await openSqlite({ path: config.database, now: () => new Date(), create: false });
  const records = await database.state.authorities();
  const keys = new Map(
    records.map((r) => [r.id, { key: new X509Certificate(r.certificate).publicKey, digest: digests[r.algorithm] }]),
  );
  const reports: LogReport[] = [];
  const check = (authority: string, tbs: Uint8Array, signature: Uint8Array): boolean => {
    const found = keys.get(authority);
    return found !== undefined && verify(found.digest, tbs, found.key, signature);
  };
  for await (const report of database.ledger.verify(undefined, check)) if (report.done) reports.push(report);
  assert.deepEqual(
    reports.flatMap((r) => r.faults),
    [],
  );
  return reports;
}
