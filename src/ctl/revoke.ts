/** `revoke serial`, `workload`, `cluster`, `authority`, `list`; `allow workload`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call, readStream } from "../rpc/client.ts";
import type { AdminClient } from "../rpc/gen/espalier/v1/Admin.ts";
import type { Revocations__Output } from "../rpc/gen/espalier/v1/Revocations.ts";
import type { RevokeProgress__Output } from "../rpc/gen/espalier/v1/RevokeProgress.ts";
import type { RevokeRequest } from "../rpc/gen/espalier/v1/RevokeRequest.ts";
import type { Suspension__Output } from "../rpc/gen/espalier/v1/Suspension.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toJson, toTable } from "./output.ts";
import { readText, readWhole } from "./read.ts";

interface RevokeOptions {
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly crlReason: string;
  readonly dryRun?: true;
}

/** What one message of the socket takes. */
const serialsPerCall = 500;

const nothingComesBack = "What is revoked stays so.";
const withoutCrls =
  "Without CRLs (spec.crl of its MeshTenant) peers take a revoked certificate until it ends; only its renewal is refused.";

export function addRevoke(program: Command, context: Context): void {
  const revoke = program
    .command("revoke")
    .description(`Takes certificates back, and whatever would get new ones. ${nothingComesBack}`)
    .addHelpText("after", '\nExample:\n  espalier revoke workload payments pay-shop/checkout --reason "incident 12"');
  withRevoke(revoke.command("serial [serials...]"), context)
    .description(`Certificates, by serial number in hex as any tool prints it. ${withoutCrls}`)
    .option("--file <path>", "a file with one serial number in each line, beside those that are named", "")
    .addHelpText("after", "\nExample:\n  espalier revoke serial 34:A1:9F:00:12 --crl-reason keyCompromise")
    .action(async (serials: readonly string[], options: RevokeOptions & { readonly file: string }) => {
      const all = [...serials, ...(options.file === "" ? [] : toLines(await readText(options.file)))];
      if (all.length === 0) throw new Refusal("config", "name serial numbers, or a file of them with --file");
      tell(await send(toBatches(all), options, context), "", options, context);
    });
  withRevoke(revoke.command("workload <tenant> <workload>"), context)
    .description(
      `One workload, as <namespace>/<service account>: it gets nothing more, and what it holds is revoked. \`espalier allow workload\` lets it ask again. ${withoutCrls}`,
    )
    .addHelpText("after", '\nExample:\n  espalier revoke workload payments pay-shop/checkout --reason "incident 12"')
    .action(async (tenant: string, workload: string, options: RevokeOptions) => {
      const target = { target: "workload", workload: { tenant, ...toAccount(workload) } } as const;
      tell(await send([target], options, context), `${tenant}/${workload} gets nothing more`, options, context);
    });
  withRevoke(revoke.command("cluster <name>"), context)
    .description(
      `A cluster: it is suspended, and what its agents and workloads hold is revoked. Its agents' certificates are not let in again, after \`espalier cluster resume\` either. ${withoutCrls}`,
    )
    .addHelpText("after", '\nExample:\n  espalier revoke cluster east --reason "incident 12" --dry-run')
    .action(async (cluster: string, options: RevokeOptions) => {
      tell(
        await send([{ target: "cluster", cluster }], options, context),
        `cluster "${cluster}" is suspended`,
        options,
        context,
      );
    });
  withRevoke(revoke.command("authority <id>"), context)
    .description(
      "A tenant's authority: it signs nothing more here, and a successor follows by itself. Whoever has its key can go on signing, and peers take that until the root above it is replaced (`espalier root rotate`): every peer of every tenant under that root. CRLs end it only where each peer reads them.",
    )
    .addHelpText("after", '\nExample:\n  espalier revoke authority tenant-payments-0a1b2c3d --reason "incident 12"')
    .action(async (authority: string, options: RevokeOptions) => {
      tell(
        await send([{ target: "authority", authority }], options, context),
        `authority ${authority} is revoked`,
        options,
        context,
      );
    });
  withOutput(withSocket(revoke.command("list"), context))
    .description("Certificates that were revoked, newest first, and workloads that are denied.")
    .option("--limit <n>", "at most this many certificates", "100")
    .addHelpText("after", "\nExample:\n  espalier revoke list --limit 20")
    .action(async (options: ListOptions) => await list(options, context));
  addAllow(program, context);
}

function addAllow(program: Command, context: Context): void {
  const allow = program
    .command("allow")
    .description("Lets a workload that was revoked ask again.")
    .addHelpText("after", "\nExample:\n  espalier allow workload payments pay-shop/checkout");
  withOutput(withReason(withSocket(allow.command("workload <tenant> <workload>"), context)))
    .description("A workload, as <namespace>/<service account>, gets certificates again. What was revoked stays so.")
    .addHelpText(
      "after",
      '\nExample:\n  espalier allow workload payments pay-shop/checkout --reason "incident 12 is over"',
    )
    .action(async (tenant: string, workload: string, { socket, reason, output }: RevokeOptions) => {
      const { namespace, serviceAccount } = toAccount(workload);
      const name = `${tenant}/${namespace}/${serviceAccount}`;
      const request = { act: { operator: context.user, reason }, kind: "workload", name, suspended: false };
      const answer = await withAdmin(
        socket,
        async (admin) =>
          await call<object, Suspension__Output>(admin.setSuspended.bind(admin), request, verbDeadlineMs),
      );
      const words = answer.changed ? "gets certificates again" : "was not denied";
      context.stdout(output === "json" ? toJson(answer) : `${name} ${words}\n`);
    });
}

function withRevoke(command: Command, context: Context): Command {
  return withOutput(withReason(withSocket(command, context)))
    .option("--crl-reason <reason>", "of RFC 5280: keyCompromise, superseded and so on; in CRLs and in the ledger", "")
    .option("--dry-run", "say what would be revoked and do nothing");
}

/** One call for each target; their numbers together, and what the last one said. */
async function send(
  targets: readonly Pick<RevokeRequest, "target" | "serials" | "workload" | "cluster" | "authority">[],
  { socket, reason, crlReason, dryRun }: RevokeOptions,
  { user, stderr, isTerminal }: Context,
): Promise<RevokeProgress__Output> {
  const common = { act: { operator: user, reason }, crlReason, dryRun: dryRun === true };
  return await withAdmin(socket, async (admin) => {
    let sum: RevokeProgress__Output | undefined;
    for (const target of targets) {
      const done = await follow(admin, { ...common, ...target }, (progress) => {
        if (isTerminal)
          stderr(
            `\r${(sum?.looked ?? 0) + progress.looked} looked at, ${(sum?.revoked ?? 0) + progress.revoked} revoked`,
          );
      });
      sum = sum === undefined ? done : add(sum, done);
    }
    if (isTerminal) stderr("\n");
    if (sum === undefined) throw new Error("nothing was sent");
    return sum;
  });
}

async function follow(
  admin: AdminClient,
  request: RevokeRequest,
  onProgress: (progress: RevokeProgress__Output) => void,
): Promise<RevokeProgress__Output> {
  for await (const progress of readStream(admin.revoke(request))) {
    if (progress.done) return progress;
    onProgress(progress);
  }
  throw new Refusal("unavailable", "the issuer broke off: type the same again, it goes on where it was");
}

function add(sum: RevokeProgress__Output, next: RevokeProgress__Output): RevokeProgress__Output {
  return {
    ...next,
    looked: sum.looked + next.looked,
    revoked: sum.revoked + next.revoked,
    already: sum.already + next.already,
    ended: sum.ended + next.ended,
    limits: [...new Set([...sum.limits, ...next.limits])],
  };
}

function tell(done: RevokeProgress__Output, held: string, options: RevokeOptions, { stdout }: Context): void {
  const { revoked, already, ended, changed, successor, limits } = done;
  const dryRun = options.dryRun === true;
  if (options.output === "json") {
    const { done: _, looked: __, ...rest } = done;
    return stdout(toJson({ ...rest, dryRun }));
  }
  const before = already === 0 ? "" : `, ${already} were before`;
  const past = ended === 0 ? "" : `, ${ended} had ended`;
  const lines = [
    ...(held === "" ? [] : [changed ? `${dryRun ? "would do: " : ""}${held}` : `${held} already`]),
    ...(successor === "" ? [] : [`${successor} signs in its place`]),
    `certificates ${dryRun ? "that would be revoked" : "revoked"}: ${revoked}${before}${past}`,
    ...limits.map((limit) => `note: ${limit}`),
  ];
  stdout(lines.map((line) => `${line}\n`).join(""));
}

interface ListOptions {
  readonly limit: string;
  readonly socket: string;
  readonly output: Output;
}

async function list({ limit, socket, output }: ListOptions, { stdout }: Context): Promise<void> {
  const request = { limit: readWhole("--limit", limit, 1) };
  const { revocations, deniedWorkloads } = await withAdmin(
    socket,
    async (admin) =>
      await call<object, Revocations__Output>(admin.listRevocations.bind(admin), request, verbDeadlineMs),
  );
  if (output === "json") return stdout(toJson({ revocations, deniedWorkloads }));
  const rows = revocations.map((one) => [one.serial, one.log, one.authority, one.reason, one.revokedAt, one.notAfter]);
  const denied = deniedWorkloads.map((one) => `denied: ${one}\n`).join("");
  stdout(denied + toTable(["SERIAL", "LOG", "AUTHORITY", "REASON", "REVOKED AT", "NOT AFTER"], rows));
}

function toBatches(serials: readonly string[]): readonly Pick<RevokeRequest, "target" | "serials">[] {
  const count = Math.ceil(serials.length / serialsPerCall);
  return Array.from({ length: count }, (_, at) => {
    const some = serials.slice(at * serialsPerCall, (at + 1) * serialsPerCall);
    return { target: "serials", serials: { serials: some, more: at + 1 < count } } as const;
  });
}

function toLines(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** @throws Refusal `config`. */
function toAccount(workload: string): { readonly namespace: string; readonly serviceAccount: string } {
  const [namespace = "", serviceAccount = "", ...rest] = workload.split("/");
  if (namespace === "" || serviceAccount === "" || rest.length > 0)
    throw new Refusal("config", `a workload is <namespace>/<service account>, not "${workload}"`);
  return { namespace, serviceAccount };
}
