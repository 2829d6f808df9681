/** `custody check`, `custody reseal`, `custody move`: the keys themselves, whether or not an issuer runs. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import type { CustodyParts, KeyReport, MoveStep } from "../issuer/custody-verbs.ts";
import { readIssuerConfig } from "../ops/config.ts";
import { type Context, type Output, withOutput, withReason } from "./context.ts";
import { toJson, toTable } from "./output.ts";

interface Options {
  readonly config: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

export function addCustody(program: Command, context: Context): void {
  const custody = program
    .command("custody")
    .description("The issuer's private keys: key files, the database, a token.")
    .addHelpText("after", "\nExample:\n  espalier custody check --config espalier-data/issuer.yaml");
  withOutput(custody.command("check"))
    .description(
      "Has every key that the database names sign. Exits with 1 when one that is needed cannot, as after a restore.",
    )
    .requiredOption("--config <file>", "issuer.yaml")
    .addHelpText("after", "\nExample:\n  espalier custody check --config espalier-data/issuer.yaml")
    .action(async (options: { config: string; output: Output }) => await check(options, context));
  withOutput(withReason(custody.command("reseal")))
    .description("Seals every key in the database with another sealing key, in one write. Safe to repeat.")
    .requiredOption("--config <file>", "issuer.yaml, with the old key in `custody.sealed.keyFile`")
    .requiredOption("--new-key <file>", "the new one: 32 random bytes in base64")
    .option("--dry-run", "say what would be sealed anew and write nothing")
    .addHelpText(
      "after",
      "\nExample:\n  (umask 077; openssl rand -base64 32 > new.key)\n  espalier custody reseal --config issuer.yaml --new-key new.key\n  mv new.key sealing.key      # at every issuer",
    )
    .action(async (options: Options & { newKey: string }) => await reseal(options, context));
  withOutput(withReason(custody.command("move")))
    .description("Copies every key from key files into the database, or back. Nothing is taken away. Safe to repeat.")
    .requiredOption("--config <file>", "issuer.yaml as it will be")
    .requiredOption("--from <file>", "issuer.yaml as it was")
    .option("--dry-run", "say which keys, and copy none")
    .addHelpText(
      "after",
      "\nExample:\n  espalier custody move --config issuer.yaml --from issuer.yaml.before --dry-run",
    )
    .action(async (options: Options & { from: string }) => await move(options, context));
}

async function check({ config, output }: { config: string; output: Output }, { stdout, now }: Context): Promise<void> {
  const keys: KeyReport[] = [];
  const { checkKeys } = await import("../issuer/custody-verbs.ts");
  for await (const key of checkKeys(await readIssuerConfig(config), now)) keys.push(key);
  const rows = keys.map(({ name, state, fault }) => [name, state, fault === "" ? "signs" : fault]);
  stdout(output === "json" ? toJson(keys) : toTable(["KEY", "STATE", ""], rows));
  const away = keys.filter(({ needed, fault }) => needed && fault !== "").length;
  if (away > 0) throw new Refusal("not-ready", `${away} of ${keys.length} keys cannot be used: restore them`);
}

async function reseal({ newKey, ...options }: Options & { newKey: string }, context: Context): Promise<void> {
  const config = await readIssuerConfig(options.config);
  const { resealKeys } = await import("../issuer/custody-verbs.ts");
  const resealed = await resealKeys(config, newKey, toParts(options, context));
  if (options.output === "json") return context.stdout(toJson(resealed));
  const { from, to, keys, before } = resealed;
  if (options.dryRun && !before) return context.stdout(`would seal ${keys} keys with ${to} instead of ${from}\n`);
  const keyFile = config.custody.sealed?.keyFile ?? "";
  context.stdout(
    before ? `all ${keys} keys are sealed with ${to} already\n` : `sealed ${keys} keys with ${to} instead of ${from}\n`,
  );
  context.stdout(
    `next, at every issuer: mv ${newKey} ${keyFile}\nUntil then issuers sign on, and open no other key. Keep the old one for old backups.\n`,
  );
}

async function move({ from, ...options }: Options & { from: string }, context: Context): Promise<void> {
  const [before, after] = [await readIssuerConfig(from), await readIssuerConfig(options.config)];
  const steps: MoveStep[] = [];
  const { moveKeys } = await import("../issuer/custody-verbs.ts");
  for await (const step of moveKeys(before, after, toParts(options, context))) {
    steps.push(step);
    if (options.output === "table") context.stdout(`${step.kind}: ${step.name}\n`);
  }
  if (options.output === "json") return context.stdout(toJson(steps));
  if (options.dryRun) return;
  context.stdout(
    `next: restart every issuer with ${options.config}, then \`espalier custody check\`; then put the old keys away\n`,
  );
}

function toParts({ reason, dryRun }: Options, { user, now }: Context): CustodyParts {
  return { by: { operator: `unix:${user}`, reason }, now, dryRun: dryRun === true };
}
