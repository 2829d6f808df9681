/** `root create`, `bring`, `import`, `list`, `show`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { Root__Output } from "../rpc/gen/espalier/v1/Root.ts";
import type { Roots__Output } from "../rpc/gen/espalier/v1/Roots.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toJson, toTable } from "./output.ts";
import { addRootBring, toRootFields } from "./root-bring.ts";
import { addRootImport } from "./root-import.ts";
import { addRootRotation } from "./root-rotation.ts";

interface CreateOptions {
  readonly serving?: string;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

/** In bundles: whoever keeps a copy keeps these, and no other. */
const trusted: ReadonlySet<string> = new Set(["prepared", "active", "retiring"]);

export function addRoot(program: Command, context: Context): void {
  const root = program
    .command("root")
    .description("Trust anchors: of workloads, of each cluster's serving certificates, of the hub.")
    .addHelpText("after", "\nExample:\n  espalier root create main");
  withOutput(withReason(withSocket(root.command("create [name]"), context)))
    .description(
      "Makes the root that a TrustRoot declares, or a cluster's serving root. Repeating it shows the one there is.",
    )
    .option("--serving <cluster>", "the serving root of this MeshCluster, instead of a TrustRoot")
    .option("--dry-run", "say what would be made and make nothing")
    .addHelpText("after", "\nExamples:\n  espalier root create main\n  espalier root create --serving east")
    .action(async (name: string | undefined, options: CreateOptions) => await create(name, options, context));
  addRootBring(root, context);
  addRootImport(root, context);
  withOutput(withSocket(root.command("list"), context))
    .description("All roots and their states.")
    .addHelpText("after", "\nExample:\n  espalier root list -o json")
    .action(async ({ socket, output }: { socket: string; output: Output }) => {
      const roots = await listRoots(socket);
      const rows = roots.map((r) => [r.kind, r.name, r.state, r.algorithm, r.notAfter, r.sha256.slice(0, 16)]);
      context.stdout(
        output === "json"
          ? toJson(roots)
          : toTable(["KIND", "NAME", "STATE", "ALGORITHM", "NOT AFTER", "SHA-256"], rows),
      );
    });
  withSocket(root.command("show <name>"), context)
    .description("A root's certificates in PEM: all generations that are trusted now.")
    .option("--serving", "the serving root of a cluster of this name")
    .option("--sha256", "their SHA-256 in hex instead, as hubRootSha256 takes them")
    .addHelpText("after", "\nExample:\n  espalier root show main > root.pem")
    .action(async (name: string, { socket, serving, sha256 }: { socket: string; serving?: true; sha256?: true }) => {
      const kind = serving ? "serving" : "workload";
      const found = (await listRoots(socket)).filter(
        (r) => r.name === name && trusted.has(r.state) && (r.kind === kind || (!serving && r.kind === "hub")),
      );
      if (found.length === 0)
        throw new Refusal(
          "not-found",
          `there is no ${kind} root "${name}": \`espalier root list\` shows what there is`,
        );
      context.stdout(sha256 ? `${found.map((r) => r.sha256).join(" ")}\n` : found.map((r) => r.pem).join(""));
    });
  addRootRotation(root, context);
}

async function create(name: string | undefined, options: CreateOptions, { stdout, user }: Context): Promise<void> {
  const { serving, socket, reason, output, dryRun } = options;
  if ((name === undefined) === (serving === undefined))
    throw new Refusal("config", "give the name of a TrustRoot, or --serving and a cluster; not both");
  const target = serving === undefined ? { trustRoot: name ?? "" } : { servingOf: serving };
  const root = await withAdmin(
    socket,
    async (admin) =>
      await call<object, Root__Output>(
        admin.createRoot.bind(admin),
        { act: { operator: user, reason }, ...target, dryRun: dryRun === true },
        verbDeadlineMs,
      ),
  );
  if (output === "json") return stdout(toJson(root));
  if (dryRun && root.pem === "")
    return stdout(`would make a ${root.kind} root "${root.name}" with a key of ${root.algorithm}\n`);
  stdout(
    root.created
      ? `made the ${root.kind} root "${root.name}"\n`
      : `the ${root.kind} root "${root.name}" is there already\n`,
  );
  stdout(toRootFields(root));
}

async function listRoots(socket: string): Promise<readonly Root__Output[]> {
  return (
    await withAdmin(
      socket,
      async (admin) => await call<object, Roots__Output>(admin.listRoots.bind(admin), {}, verbDeadlineMs),
    )
  ).roots;
}
