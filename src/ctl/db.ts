/** `db status`, `db adopt`, `db migrate`: the database itself, whether or not an issuer runs. */
import type { Command } from "commander";
import { readIssuerConfig } from "../ops/config.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { toFields, toJson } from "./output.ts";

interface AdoptOptions {
  readonly config: string;
  readonly reason: string;
  readonly dryRun?: true;
  readonly output: Output;
}

export function addDb(program: Command, context: Context): void {
  const db = program
    .command("db")
    .description("The database of the ledger and of made state: a file or a PostgreSQL server.")
    .addHelpText("after", "\nExample:\n  espalier db status --config espalier-data/issuer.yaml");
  withOutput(db.command("status"))
    .description("Where it is, what it holds, who puts entries in order. Exits with 1 when it cannot be used.")
    .requiredOption("--config <file>", "issuer.yaml")
    .addHelpText("after", "\nExample:\n  espalier db status --config espalier-data/issuer.yaml")
    .action(async ({ config, output }: { config: string; output: Output }) => {
      const { readDatabaseStatus } = await import("../issuer/database-verbs.ts");
      const status = await readDatabaseStatus(await readIssuerConfig(config), context.now);
      const fields = Object.entries(status).map(([name, value]): [string, string] => [name, String(value)]);
      context.stdout(output === "json" ? toJson(status) : toFields(fields));
    });
  withOutput(db.command("adopt"))
    .description(
      "Goes on with a database that was restored from a backup and lacks what an issuer remembers of it. Certificates that it lacks are out all the same, and in no ledger.",
    )
    .requiredOption("--config <file>", "issuer.yaml of the issuer that refuses to start")
    .requiredOption("--reason <text>", "why; written into the ledger")
    .option("--dry-run", "say what would be given up and give nothing up")
    .addHelpText(
      "after",
      '\nExample:\n  espalier db adopt --config espalier-data/issuer.yaml --reason "disk lost, back-up of 02:00"',
    )
    .action(async (options: AdoptOptions) => await adopt(options, context));
  db.command("migrate")
    .description(
      "Moves the ledger from a SQLite file to the PostgreSQL server that issuer.yaml names. Its issuer must be stopped. Safe to repeat.",
    )
    .requiredOption("--config <file>", "issuer.yaml, with the server's address in `database`")
    .requiredOption("--from <file>", "the SQLite file")
    .option("--dry-run", "say what would be copied and copy nothing")
    .addHelpText("after", "\nExample:\n  espalier db migrate --config issuer.yaml --from espalier.db --dry-run")
    .action(async (options: { config: string; from: string; dryRun?: true }) => await migrate(options, context));
}

async function adopt(
  { config: file, reason, dryRun, output }: AdoptOptions,
  { stdout, user, now }: Context,
): Promise<void> {
  const by = { operator: `unix:${user}`, reason };
  const { adoptDatabase } = await import("../issuer/database-verbs.ts");
  const adopted = await adoptDatabase(await readIssuerConfig(file), by, now, dryRun === true);
  if (output === "json") return stdout(toJson(adopted));
  const { lost, newest } = adopted;
  stdout(`${dryRun === true ? "would give up" : "gave up"} ${lost}; the newest entry here is ${newest}\n`);
}

async function migrate(
  { config: file, from, dryRun }: { config: string; from: string; dryRun?: true },
  { stdout, stderr, isTerminal, now }: Context,
): Promise<void> {
  const config = await readIssuerConfig(file);
  const { moveDatabase } = await import("../issuer/database-verbs.ts");
  for await (const step of moveDatabase(from, config, now, dryRun === true)) {
    switch (step.kind) {
      case "would copy":
        stdout(`would copy ${step.progress.rows} rows of ${step.progress.table}\n`);
        break;
      case "copied":
        if (isTerminal) stderr(`\r${step.progress.table}: ${step.progress.rows} rows`);
        break;
      case "was there already":
        stdout("the ledger is there already\n");
        break;
      case "verified":
        stdout(`verified ${step.report.log}: ${step.report.entries} entries\n`);
        break;
      case "renamed":
        stdout(`the file is ${step.path} now: keep it as a backup, and start no issuer on it\n`);
        break;
    }
  }
}
