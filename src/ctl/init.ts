/** `init`: everything an issuer starts from, made once by an operator. Repeating it finishes what a crash left undone. */
import { randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { addRoot } from "../controller/root.ts";
import type { Custody } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { isTrustDomain } from "../identity.ts";
import { custodyKind, makeSealingKey, openCustody } from "../issuer/custody.ts";
import { openDatabase } from "../issuer/database.ts";
import { ledgerKey } from "../issuer/storage.ts";
import { type IssuerConfig, issuerSchema, readIssuerConfig } from "../ops/config.ts";
import { toPem } from "../pki/pem.ts";
import type { Context } from "./context.ts";

interface InitOptions {
  readonly hub: string;
  readonly dir: string;
  readonly passphraseFile?: string;
  readonly custody?: string;
  readonly dryRun?: true;
}

const hubRootDays = 3650;

export function addInit(program: Command, context: Context): void {
  program
    .command("init")
    .description("Makes a hub: its root, its ledger and its configuration. Safe to repeat.")
    .requiredOption("--hub <name>", "the hub's name, a trust domain that no tenant has, e.g. hub.example")
    .option("--dir <path>", "where it goes", "./espalier-data")
    .option("--passphrase-file <path>", "encrypts the keys with what this file holds")
    .option("--custody <kind>", "where private keys go: file, or sealed in the database")
    .option("--dry-run", "say what would be made and make nothing")
    .addHelpText(
      "after",
      "\nExample:\n  espalier init --hub hub.example --dir ./espalier-data\n\nAn issuer.yaml that is there already says where keys and database go, as for PostgreSQL or a token.",
    )
    .action(async (options: InitOptions) => await init(options, context));
}

async function init(
  { hub, dir, passphraseFile, custody: kind, dryRun }: InitOptions,
  { stdout, user, now }: Context,
): Promise<void> {
  if (!isTrustDomain(hub))
    throw new Refusal("config", `--hub "${hub}" is not a trust domain: use a-z, 0-9, ".", "-" and "_"`);
  if (kind !== undefined && kind !== "file" && kind !== "sealed")
    throw new Refusal(
      "config",
      `--custody is file or sealed, not "${kind}": any other is written into issuer.yaml first`,
    );
  if (kind === "sealed" && passphraseFile !== undefined)
    throw new Refusal("config", "--passphrase-file encrypts key files, and with --custody sealed there are none");
  const directory = resolve(dir);
  const made: string[] = [];
  if (dryRun) {
    const keys = kind === "sealed" ? "sealing.key" : "keys/";
    stdout(
      `would make in ${directory}: ${keys}, resources/, the ledger with the root of hub ${hub}, hub-root.pem, issuer.yaml\n`,
    );
    return;
  }
  await mkdir(join(directory, "resources"), { recursive: true, mode: 0o700 });
  const passphrase = passphraseFile === undefined ? undefined : resolve(passphraseFile);
  const file = join(directory, "issuer.yaml");
  const config = await readOrDefault(file, { hub, directory, passphrase, kind });

  await using database = await openDatabase(config, { now, create: true });
  if (await makeSealingKey(config, database.state)) made.push("the sealing key");
  await using custody = await openCustody(config, database.state);
  if (await makeLedgerKey(custody)) made.push("the ledger's key");
  const existing = (await database.state.authorities()).find((r) => r.kind === "hub");
  if (existing !== undefined && existing.owner !== hub) {
    throw new Refusal("config", `${directory} belongs to hub "${existing.owner}" already: choose another --dir`);
  }
  const parts = { state: database.state, custody, now, random: (n: number) => randomBytes(n) };
  const order = { kind: "hub", owner: hub, algorithm: "P-256", validityDays: hubRootDays } as const;
  const root = existing ?? (await addRoot(order, { operator: `unix:${user}`, reason: "init" }, parts));
  if (existing === undefined) made.push("the hub root");

  await writeFile(join(directory, "hub-root.pem"), toPem("CERTIFICATE", root.certificate), { mode: 0o644 });
  if (!(await exists(file))) {
    // Last: its being there says that everything else is.
    await writeFile(file, toIssuerYaml(hub, passphrase, kind), { flag: "wx" });
    made.push("issuer.yaml");
  }
  stdout(
    made.length === 0
      ? `${directory} is hub ${hub} already; nothing to do\n`
      : `made ${made.join(", ")} in ${directory}\n`,
  );
  stdout(`next: write resources into ${join(directory, "resources")}, then\n  espalier issuer run --config ${file}\n`);
}

interface Wanted {
  readonly hub: string;
  readonly directory: string;
  readonly passphrase: string | undefined;
  readonly kind: string | undefined;
}

const sealingKeyFile = "sealing.key";

/** An issuer.yaml that somebody has written first says where keys and database go: a server's address is nothing to guess. */
async function readOrDefault(file: string, { hub, directory, passphrase, kind }: Wanted): Promise<IssuerConfig> {
  const chosen = passphrase === undefined ? {} : { passphraseFile: passphrase };
  if (!(await exists(file))) {
    const [database, keys] = [join(directory, "espalier.db"), join(directory, "keys")];
    const custody = kind === "sealed" ? { sealed: { keyFile: join(directory, sealingKeyFile) } } : {};
    return issuerSchema.parse({ hub, database, keys, custody, ...chosen });
  }
  const written = await readIssuerConfig(file);
  if (written.hub !== hub)
    throw new Refusal("config", `${directory} belongs to hub "${written.hub}" already: choose another --dir`);
  if (kind !== undefined && kind !== custodyKind(written))
    throw new Refusal("config", `${file} says that keys are kept by ${custodyKind(written)}: leave --custody out`);
  return { ...written, ...chosen };
}

async function makeLedgerKey(custody: Custody): Promise<boolean> {
  try {
    await custody.openKey(ledgerKey);
    return false;
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== "not-found") throw error;
    await custody.createKey(ledgerKey, "P-256");
    return true;
  }
}

function toIssuerYaml(hub: string, passphraseFile: string | undefined, kind: string | undefined): string {
  const passphrase = passphraseFile === undefined ? "" : `passphraseFile: ${JSON.stringify(passphraseFile)}\n`;
  return `# Paths are relative to this file. docs/configuration.md says what every key means.
hub: ${hub}
listen: 0.0.0.0:15443
http: 127.0.0.1:15014
adminSocket: admin.sock
resources: resources
database: espalier.db
${kind === "sealed" ? `custody: { sealed: { keyFile: ${sealingKeyFile} } }` : "keys: keys"}
${passphrase}`;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
