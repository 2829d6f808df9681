/** `authority list`, `show`, `request`, `take`: tenants' signing authorities, and those that wait for an offline root's signature. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { TakenAuthority__Output } from "../rpc/gen/espalier/v1/TakenAuthority.ts";
import type { TenantAuthorities__Output } from "../rpc/gen/espalier/v1/TenantAuthorities.ts";
import type { TenantAuthority__Output } from "../rpc/gen/espalier/v1/TenantAuthority.ts";
import { addAuthoritySign } from "./authority-sign.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { readOneCertificate } from "./key-file.ts";
import { toFields, toJson, toTable } from "./output.ts";

interface ShowOptions {
  readonly socket: string;
  readonly output: Output;
}

interface TakeOptions extends ShowOptions {
  readonly reason: string;
  readonly dryRun?: true;
}

export function addAuthority(program: Command, context: Context): void {
  const { stdout } = context;
  const authority = program
    .command("authority")
    .description("What signs tenants' certificates. Made by itself, but where the root's key is offline.")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier authority request payments > payments.csr\n  espalier authority sign --root root.pem --key root.key --request payments.csr > payments.pem\n  espalier authority take payments.pem",
    );
  withOutput(withSocket(authority.command("list [tenant]"), context))
    .description("All authorities, of all tenants or of one, and those that wait for a certificate.")
    .addHelpText("after", "\nExample:\n  espalier authority list payments")
    .action(async (tenant: string | undefined, { socket, output }: ShowOptions) => {
      const found = await listAuthorities(socket, tenant);
      const rows = found.map((a) => [a.tenant, a.id, a.state, a.algorithm, a.notAfter, a.root]);
      stdout(
        output === "json" ? toJson(found) : toTable(["TENANT", "ID", "STATE", "ALGORITHM", "NOT AFTER", "ROOT"], rows),
      );
    });
  withOutput(withSocket(authority.command("show <id>"), context))
    .description("One authority, by its id, with its certificate; while it waits, with its request.")
    .addHelpText("after", "\nExample:\n  espalier authority show tenant-payments-1f0a2b3c")
    .action(async (id: string, { socket, output }: ShowOptions) => {
      const found = (await listAuthorities(socket)).find((one) => one.id === id);
      if (found === undefined)
        throw new Refusal(
          "not-found",
          `there is no authority "${id}": \`espalier authority list\` shows what there is`,
        );
      stdout(output === "json" ? toJson(found) : `${describe(found)}\n${found.pem}`);
    });
  withOutput(withSocket(authority.command("request [tenant]"), context))
    .description("The request of an authority that waits for its certificate, in PEM, for whoever has the root's key.")
    .addHelpText("after", "\nExample:\n  espalier authority request payments > payments.csr")
    .action(async (tenant: string | undefined, { socket, output }: ShowOptions) => {
      const waiting = await findWaiting(socket, tenant);
      if (output === "json") return stdout(toJson(waiting));
      context.stderr(describe(waiting));
      stdout(waiting.pem);
    });
  withOutput(withReason(withSocket(authority.command("take <file>"), context)))
    .description("Takes the certificate that an authority waits for. It signs once it has been proven.")
    .option("--dry-run", "say whether it would be taken, and take nothing")
    .addHelpText("after", '\nExample:\n  espalier authority take payments.pem --reason "ceremony of 3 May"')
    .action(async (file: string, options: TakeOptions) => await take(file, options, context));
  addAuthoritySign(authority, context);
}

async function take(file: string, { socket, reason, output, dryRun }: TakeOptions, context: Context): Promise<void> {
  const certificate = await readOneCertificate(file);
  const taken = await withAdmin(
    socket,
    async (admin) =>
      await call<object, TakenAuthority__Output>(
        admin.takeAuthority.bind(admin),
        { act: { operator: context.user, reason }, certificate, dryRun: dryRun === true },
        verbDeadlineMs,
      ),
  );
  if (output === "json") return context.stdout(toJson(taken));
  tellTaken(taken, dryRun === true, context);
}

export function tellTaken(
  { authority, changed, warnings }: TakenAuthority__Output,
  dryRun: boolean,
  { stdout, stderr }: Context,
): void {
  for (const warning of warnings) stderr(`warning: ${warning}\n`);
  if (authority === null) return;
  const { id, tenant, state } = authority;
  if (!changed) return stdout(`${id} of tenant "${tenant}" has this certificate already, and is ${state}\n`);
  stdout(`${dryRun ? "would take" : "took"} ${id} of tenant "${tenant}"\n${describe(authority)}`);
}

function describe(a: TenantAuthority__Output): string {
  const asked: [string, string][] =
    a.state === "waiting"
      ? [
          ["asked for", `CA with path length 0, valid for ${a.validityDays} days`],
          ["since", a.requestedAt],
        ]
      : [
          ["not before", a.notBefore],
          ["not after", a.notAfter],
        ];
  return toFields([
    ["id", a.id],
    ["tenant", a.tenant],
    ["root", a.root],
    ["state", a.state],
    ["algorithm", a.algorithm],
    ...asked,
    ["key sha256", a.keySha256],
  ]);
}

async function findWaiting(socket: string, tenant: string | undefined): Promise<TenantAuthority__Output> {
  const waiting = (await listAuthorities(socket, tenant)).filter(({ state }) => state === "waiting");
  const [first, ...rest] = waiting;
  if (first === undefined)
    throw new Refusal(
      "not-found",
      `no authority${tenant === undefined ? "" : ` of "${tenant}"`} waits for a certificate`,
    );
  if (rest.length > 0)
    throw new Refusal(
      "config",
      `say whose request: ${waiting.map((one) => one.tenant).join(", ")} wait for a certificate`,
    );
  return first;
}

async function listAuthorities(socket: string, tenant?: string): Promise<readonly TenantAuthority__Output[]> {
  const { authorities } = await withAdmin(
    socket,
    async (admin) =>
      await call<object, TenantAuthorities__Output>(admin.listAuthorities.bind(admin), {}, verbDeadlineMs),
  );
  return tenant === undefined ? authorities : authorities.filter((one) => one.tenant === tenant);
}
