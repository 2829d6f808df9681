/** `tenant list`, `show`, `bundle`, `crls`, `suspend`, `resume`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { Tenant__Output } from "../rpc/gen/espalier/v1/Tenant.ts";
import type { Tenants__Output } from "../rpc/gen/espalier/v1/Tenants.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";
import { addSuspension } from "./suspend.ts";

export function addTenant(program: Command, context: Context): void {
  const tenant = program
    .command("tenant")
    .description("Who certificates belong to. Tenants are declared in the issuer's resources.")
    .addHelpText("after", "\nExample:\n  espalier tenant show payments");
  withOutput(withSocket(tenant.command("list"), context))
    .description("All tenants, and what keeps any of them from being served.")
    .addHelpText("after", "\nExample:\n  espalier tenant list")
    .action(async ({ socket, output }: { socket: string; output: Output }) => {
      const tenants = await listTenants(socket);
      const rows = tenants.map((t) => [
        t.name,
        t.trustDomain,
        t.root,
        t.suspended ? "suspended" : t.problem === "" ? "ready" : "not ready",
        t.authorities.find((a) => a.state === "active")?.notAfter ?? "",
        t.next,
        t.problem,
      ]);
      context.stdout(
        output === "json"
          ? toJson(tenants)
          : toTable(["NAME", "TRUST DOMAIN", "ROOT", "STATE", "AUTHORITY UNTIL", "NEXT", "PROBLEM"], rows),
      );
    });
  withOutput(withSocket(tenant.command("show <name>"), context))
    .description("One tenant: its rules, its authorities, its bundle.")
    .addHelpText("after", "\nExample:\n  espalier tenant show payments")
    .action(async (name: string, { socket, output }: { socket: string; output: Output }) => {
      const found = await findTenant(name, socket);
      context.stdout(output === "json" ? toJson(found) : describe(found));
    });
  withSocket(tenant.command("bundle <name>"), context)
    .description("The roots that this tenant's workloads trust, in PEM.")
    .addHelpText("after", "\nExample:\n  espalier tenant bundle payments > roots.pem")
    .action(async (name: string, { socket }: { socket: string }) =>
      context.stdout((await findTenant(name, socket)).bundlePem),
    );
  withSocket(tenant.command("crls <name>"), context)
    .description("The CRLs that this tenant's workloads are given, in PEM; none where its spec.crl is missing.")
    .addHelpText("after", "\nExample:\n  espalier tenant crls payments > crls.pem")
    .action(async (name: string, { socket }: { socket: string }) =>
      context.stdout((await findTenant(name, socket)).crlPem),
    );
  addSuspension(tenant, "tenant", context);
}

function describe(t: Tenant__Output): string {
  const fields: [string, string][] = [
    ["name", t.name],
    ["trust domain", t.trustDomain],
    ["root", t.root],
    ["state", t.suspended ? "suspended" : t.problem === "" ? "ready" : "not ready"],
    ["problem", t.problem],
    ["rules", t.rules.join(", ")],
    ["bundle", t.bundleVersion],
    ["next", t.next],
  ];
  const authorities = t.authorities.map((a) => [a.id, a.state, a.algorithm, a.notAfter]);
  return `${toFields(fields)}\n${toTable(["AUTHORITY", "STATE", "ALGORITHM", "NOT AFTER"], authorities)}`;
}

async function findTenant(name: string, socket: string): Promise<Tenant__Output> {
  const found = (await listTenants(socket)).find((t) => t.name === name);
  if (found === undefined)
    throw new Refusal("not-found", `no tenant "${name}" is declared: \`espalier tenant list\` shows what there is`);
  return found;
}

async function listTenants(socket: string): Promise<readonly Tenant__Output[]> {
  return (
    await withAdmin(
      socket,
      async (admin) => await call<object, Tenants__Output>(admin.listTenants.bind(admin), {}, verbDeadlineMs),
    )
  ).tenants;
}
