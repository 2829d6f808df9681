/** `ledger list`, `show`, `verify`. */
import { X509Certificate } from "node:crypto";
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { certificateLabel, toPem } from "../pki/pem.ts";
import { call, readStream } from "../rpc/client.ts";
import type { Entry__Output } from "../rpc/gen/espalier/v1/Entry.ts";
import type { VerifyProgress__Output } from "../rpc/gen/espalier/v1/VerifyProgress.ts";
import { isClaims } from "../token/jwt.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";
import { readWhole } from "./read.ts";

interface ListOptions {
  readonly log: string;
  readonly identity: string;
  readonly cluster: string;
  readonly limit: string;
  readonly unrecorded?: true;
  readonly socket: string;
  readonly output: Output;
}

/** Entries of one call. */
const pageMax = 1_000;

export function addLedger(program: Command, context: Context): void {
  const ledger = program
    .command("ledger")
    .description("Every certificate that was meant to be signed, and every act of an operator.")
    .addHelpText("after", "\nExample:\n  espalier ledger list --log payments --limit 20");
  withOutput(withSocket(ledger.command("list"), context))
    .description("Entries, newest first.")
    .option("--log <name>", "a tenant's log, or @hub; all if absent", "")
    .option("--identity <uri>", "only this identity's certificates", "")
    .option("--cluster <name>", "only what this cluster asked for", "")
    .option("--unrecorded", "only intents without a recorded signature: what a crash left")
    .option("--limit <n>", "at most this many", "100")
    .addHelpText("after", "\nExample:\n  espalier ledger list --log payments --limit 20")
    .action(async (options: ListOptions) => await list(options, context));
  withOutput(withSocket(ledger.command("show <id>"), context))
    .description(
      "One entry, by serial in hex or log/position: what was decided, by which rule and proof, and the certificate.",
    )
    .addHelpText("after", "\nExample:\n  espalier ledger show payments/12")
    .action(async (id: string, { socket, output }: { socket: string; output: Output }) => {
      const entry = await withAdmin(
        socket,
        async (admin) => await call<object, Entry__Output>(admin.showEntry.bind(admin), { id }, verbDeadlineMs),
      );
      context.stdout(output === "json" ? toJson(toPlain(entry)) : describe(entry));
    });
  withOutput(withSocket(ledger.command("verify"), context))
    .description(
      "Recomputes every hash, tree and signature from the stored bytes. Exits with 1 when anything does not hold.",
    )
    .option("--log <name>", "one log only; all if absent", "")
    .addHelpText("after", "\nExample:\n  espalier ledger verify")
    .action(async (options: { log: string; socket: string; output: Output }) => await verify(options, context));
}

async function list(
  { log, identity, cluster, limit, unrecorded, socket, output }: ListOptions,
  { stdout }: Context,
): Promise<void> {
  const most = readWhole("--limit", limit, 1);
  const entries: Entry__Output[] = [];
  const filter = { log, identity, cluster, unrecordedOnly: unrecorded === true };
  await withAdmin(socket, async (admin) => {
    // Page after page: an issuer gives so many at once.
    for (let before: string | undefined = ""; before !== undefined && entries.length < most; ) {
      const page: Entry__Output[] = [];
      const limit = Math.min(most - entries.length, pageMax);
      for await (const entry of readStream(admin.listEntries({ ...filter, limit, before }))) page.push(entry);
      entries.push(...page);
      const { cursor = "" } = page.at(-1) ?? {};
      before = page.length < limit || cursor === "" ? undefined : cursor;
    }
  });
  if (output === "json") return stdout(toJson(entries.map(toPlain)));
  const rows = entries.map((entry) => {
    const body = readBody(entry);
    const place = `${entry.log}/${entry.position === "" ? "-" : entry.position}`;
    if (isPruned(entry)) return [place, "", entry.kind, "pruned", "", entry.serial];
    const what = entry.kind === "act" ? field(body, "verb") : field(body, "identity");
    const by = entry.kind === "act" ? field(body, "operator") : `${field(body, "rule")} by ${field(body, "proof")}`;
    return [place, field(body, "time"), entry.kind, what, by, field(body, "serial")];
  });
  stdout(toTable(["ENTRY", "TIME", "KIND", "WHAT", "BY", "SERIAL"], rows));
}

async function verify(
  { log, socket, output }: { log: string; socket: string; output: Output },
  { stdout, stderr, isTerminal }: Context,
): Promise<void> {
  const done: Omit<VerifyProgress__Output, "done">[] = [];
  await withAdmin(socket, async (admin) => {
    for await (const report of readStream(admin.verifyLedger({ log }))) {
      if (isTerminal && !report.done) stderr(`\r${report.log}: ${report.entries} entries`);
      if (report.done) {
        const { log, entries, unrecorded, pruned, rootHash, faults } = report;
        done.push({ log, entries, unrecorded, pruned, rootHash, faults });
      }
    }
  });
  const faults = done.flatMap((report) => report.faults.map((fault) => `${report.log}: ${fault}`));
  if (output === "json") stdout(toJson({ sound: faults.length === 0, logs: done }));
  else
    stdout(
      toTable(
        ["LOG", "ENTRIES", "UNRECORDED", "PRUNED", "ROOT HASH", "FAULTS"],
        done.map((r) => [
          r.log,
          String(r.entries),
          String(r.unrecorded),
          String(r.pruned),
          r.rootHash.slice(0, 32),
          String(r.faults.length),
        ]),
      ),
    );
  if (faults.length > 0) throw new Refusal("not-ready", `the ledger does not hold:\n  ${faults.join("\n  ")}`);
}

function describe(entry: Entry__Output): string {
  const body = readBody(entry);
  const fields = Object.entries(body).map(([name, value]): [string, string] => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const placed: [string, string][] = [
    ["entry", `${entry.log}/${entry.position}`],
    ["leaf hash", entry.leafHash.toString("hex")],
    ...prunedFields(entry),
  ];
  if (entry.revokedAt !== "") placed.push(["revoked", `${entry.revokedAt}, ${entry.revocationReason}`]);
  const certificate = entry.certificate.length === 0 ? "" : `\n${new X509Certificate(entry.certificate).toString()}`;
  return toFields([...placed, ...fields.filter(([name]) => name !== "tbs")]) + certificate;
}

/** What is left of an entry whose body retention has let go. */
function prunedFields(entry: Entry__Output): readonly [string, string][] {
  if (!isPruned(entry)) return [];
  return [
    ["kind", entry.kind],
    ["serial", entry.serial],
    ["body", "pruned: it expired longer ago than retention.keepDays"],
  ];
}

function isPruned({ body }: Entry__Output): boolean {
  return body.length === 0;
}

function toPlain(entry: Entry__Output): object {
  const certificate = entry.certificate.length === 0 ? undefined : toPem(certificateLabel, entry.certificate);
  return {
    log: entry.log,
    position: entry.position === "" ? undefined : Number(entry.position),
    kind: entry.kind,
    pruned: isPruned(entry),
    serial: entry.serial === "" ? undefined : entry.serial,
    body: isPruned(entry) ? undefined : readBody(entry),
    leafHash: entry.leafHash.toString("hex"),
    certificate,
    ...(entry.revokedAt === "" ? {} : { revoked: { at: entry.revokedAt, reason: entry.revocationReason } }),
  };
}

function readBody(entry: Entry__Output): Readonly<Record<string, unknown>> {
  if (isPruned(entry)) return {};
  const { body } = entry;
  const value: unknown = JSON.parse(body.toString("utf8"));
  if (!isClaims(value)) throw new Error("an entry's body is not a JSON object");
  return value;
}

function field(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  return typeof value === "string" ? value : "";
}
