/** `init`: everything an issuer starts from, made once by an operator. Repeating it finishes what a crash left undone. */
import { hash, randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { Refusal } from "../errors.ts";
import { isTrustDomain } from "../identity.ts";
import { type IssuerConfig, issuerSchema, readIssuerConfig } from "../ops/config.ts";
import { isPostgres } from "../ops/database-config.ts";
import { toPem } from "../pki/pem.ts";
import type { Context } from "./context.ts";

interface InitOptions {
  readonly hub?: string;
  readonly dir: string;
  readonly passphraseFile?: string;
  readonly custody?: string;
  readonly config?: string;
  readonly dryRun?: true;
}

export function addInit(program: Command, context: Context): void {
  program
    .command("init")
    .description("Makes a hub: its root, its ledger and its configuration. Safe to repeat.")
    .option("--hub <name>", "the hub's name, a trust domain that no tenant has, e.g. hub.example")
    .option("--dir <path>", "where it goes", "./espalier-data")
    .option("--passphrase-file <path>", "encrypts the keys with what this file holds")
    .option("--custody <kind>", "where private keys go: file, or sealed in the database")
    .addOption(
      new Option("--config <file>", "instead of all these: an issuer.yaml that says where everything goes").conflicts([
        "hub",
        "dir",
        "passphraseFile",
        "custody",
      ]),
    )
    .option("--dry-run", "say what would be made and make nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier init --hub hub.example --dir ./espalier-data\n  espalier init --config /etc/espalier/issuer.yaml\n\nAn issuer.yaml that is there already says where keys and database go, as for PostgreSQL or a token.",
    )
    .action(async ({ hub, config, ...options }: InitOptions) => {
      if (config !== undefined) return await initFrom(config, options.dryRun === true, context);
      if (hub === undefined)
        throw new Refusal("config", "give --hub and --dir, or --config: what the hub is called and where it goes");
      return await init({ ...options, hub }, context);
    });
}

/** What a configuration names, and no file beside: for where it is mounted, as in a pod. */
async function initFrom(file: string, dryRun: boolean, { stdout, user, now }: Context): Promise<void> {
  const config = await readIssuerConfig(file);
  const { hub, database, adminSocket } = config;
  checkHubName("hub", hub);
  if (dryRun)
    return stdout(`would make what is not there yet: the ledger in ${database}, its key, and the root of hub ${hub}\n`);
  const directories = [adminSocket, ...(isPostgres(database) ? [] : [database])].map(dirname);
  for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o700 });
  const { makeHub } = await import("../issuer/hub.ts");
  const { root, made } = await makeHub(config, { operator: `unix:${user}`, now, random: randomBytes });
  stdout(
    made.length === 0 ? `hub ${hub} is there already; nothing to do\n` : `made ${made.join(", ")} of hub ${hub}\n`,
  );
  stdout(`the hub root's SHA-256 is ${hash("sha256", root.certificate)}\n`);
}

async function init(
  { hub, dir, passphraseFile, custody: kind, dryRun }: Omit<InitOptions, "config"> & { readonly hub: string },
  { stdout, user, now }: Context,
): Promise<void> {
  checkHubName("--hub", hub);
  if (kind !== undefined && kind !== "file" && kind !== "sealed")
    throw new Refusal(
      "config",
      `--custody is file or sealed, not "${kind}": any other is written into issuer.yaml first`,
    );
  if (kind === "sealed" && passphraseFile !== undefined)
    throw new Refusal("config", "--passphrase-file encrypts key files, and with --custody sealed there are none");
  const directory = resolve(dir);
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

  const { makeHub } = await import("../issuer/hub.ts");
  const { root, made } = await makeHub(config, { operator: `unix:${user}`, now, random: randomBytes });
  const written = await exists(file);
  await writeFile(join(directory, "hub-root.pem"), toPem("CERTIFICATE", root.certificate), { mode: 0o644 });
  // Last: its being there says that everything else is.
  if (!written) await writeFile(file, toIssuerYaml(hub, passphrase, kind), { flag: "wx" });
  const all = written ? made : [...made, "issuer.yaml"];
  stdout(
    all.length === 0
      ? `${directory} is hub ${hub} already; nothing to do\n`
      : `made ${all.join(", ")} in ${directory}\n`,
  );
  stdout(`next: write resources into ${join(directory, "resources")}, then\n  espalier issuer run --config ${file}\n`);
}

function checkHubName(where: string, hub: string): void {
  if (isTrustDomain(hub)) return;
  throw new Refusal("config", `${where} "${hub}" is not a trust domain: use a-z, 0-9, ".", "-" and "_"`);
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
  const { custodyKind } = await import("../issuer/custody.ts");
  if (kind !== undefined && kind !== custodyKind(written))
    throw new Refusal("config", `${file} says that keys are kept by ${custodyKind(written)}: leave --custody out`);
  return { ...written, ...chosen };
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
