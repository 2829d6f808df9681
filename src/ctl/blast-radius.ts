/** `blast-radius`: what the leak of a key would reach, before anybody revokes anything. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { readStream } from "../rpc/client.ts";
import type { Reach__Output } from "../rpc/gen/espalier/v1/Reach.ts";
import { type Context, type Output, withAdmin, withOutput, withSocket } from "./context.ts";
import { toJson, toTable } from "./output.ts";

const kinds = {
  authority: ["id", "A tenant's authority, a serving root or the hub root, by id.", "tenant-payments-0a1b2c3d"],
  root: ["name", "A TrustRoot, and with it all authorities under it.", "main"],
  cluster: ["name", "A cluster: its token-signing key, or its agent.", "east"],
  tenant: ["name", "A tenant: the keys of its workloads.", "payments"],
} as const;

export function addBlastRadius(program: Command, context: Context): void {
  const radius = program
    .command("blast-radius")
    .description("What the leak of a key would reach, until when, and what mends it. Changes nothing.")
    .addHelpText("after", "\nExample:\n  espalier blast-radius cluster east");
  for (const [kind, [argument, description, example]] of Object.entries(kinds)) {
    withOutput(withSocket(radius.command(`${kind} <${argument}>`), context))
      .description(description)
      .addHelpText("after", `\nExample:\n  espalier blast-radius ${kind} ${example}`)
      .action(async (name: string, { socket, output }: { socket: string; output: Output }) => {
        const reach = await measure(kind, name, socket, context);
        context.stdout(output === "json" ? toJson(toPlain(kind, name, reach)) : describe(reach));
      });
  }
}

async function measure(
  kind: string,
  name: string,
  socket: string,
  { stderr, isTerminal }: Context,
): Promise<Reach__Output> {
  return await withAdmin(socket, async (admin) => {
    for await (const reach of readStream(admin.blastRadius({ kind, name }))) {
      if (isTerminal) stderr(reach.done ? "\n" : `\r${reach.looked} entries looked at`);
      if (reach.done) return reach;
    }
    throw new Refusal("unavailable", "the issuer broke off: ask again");
  });
}

function describe({ means, tenants, clusters, until, mends }: Reach__Output): string {
  const rows = tenants.map((one) => [
    one.tenant,
    one.trustDomain,
    one.forgeable ? "all" : "",
    String(one.identities),
    String(one.certificates),
    one.lastEnd,
    one.hasCrls ? "yes" : "no",
  ]);
  return [
    ...means.map((line) => `${line}\n`),
    "\n",
    toTable(["TENANT", "TRUST DOMAIN", "REACHED", "IDENTITIES", "LIVE", "LAST ENDS", "CRLS"], rows),
    `\nclusters: ${clusters.length === 0 ? "none" : clusters.join(", ")}\n`,
    `until:    ${until === "" ? "nothing is out" : until}\n`,
    "\nwhat mends it, in this order:\n",
    ...mends.map((line) => `  ${line}\n`),
  ].join("");
}

function toPlain(kind: string, name: string, reach: Reach__Output): object {
  const { looked: entriesLookedAt, means, tenants, clusters, until, mends } = reach;
  return { kind, name, entriesLookedAt, means, tenants, clusters, until, mends };
}
