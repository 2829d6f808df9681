/** `root rotate`, `status`, `hold`, `continue`, `rollback`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { AdminClient } from "../rpc/gen/espalier/v1/Admin.ts";
import type { Rotation__Output } from "../rpc/gen/espalier/v1/Rotation.ts";
import type { Rotations__Output } from "../rpc/gen/espalier/v1/Rotations.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";

interface VerbOptions {
  readonly serving?: string;
  readonly hub?: true;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
  readonly acknowledge?: readonly string[];
  readonly to?: string;
}

interface StatusOptions extends Pick<VerbOptions, "serving" | "hub" | "socket" | "output"> {
  readonly watch?: true;
}

type Verb = "rotateRoot" | "holdRotation" | "continueRotation" | "rollBackRotation";

const watchMs = 5_000;
/** Of each kind of thing that it waits for, and of tenants and clusters. */
const shownMax = 20;

export function addRootRotation(root: Command, context: Context): void {
  const add = (name: string, verb: Verb, description: string, example: string): Command =>
    withTarget(withOutput(withReason(withSocket(root.command(`${name} [name]`), context))))
      .description(description)
      .option("--dry-run", "say what would be done and do nothing")
      .addHelpText("after", `\nExample:\n  ${example}`)
      .action(async (name: string | undefined, options: VerbOptions) => await change(verb, name, options, context));
  add(
    "rotate",
    "rotateRoot",
    "Makes the next root. It is trusted at once, and takes over by itself once nobody is left who does not trust it.",
    'espalier root rotate main --reason "yearly"',
  );
  withTarget(withOutput(withSocket(root.command("status [name]"), context)))
    .description("How far the rotation of a root is, or of all, and what its next step waits for.")
    .option("--watch", "again every 5 s, until no rotation is under way")
    .addHelpText("after", "\nExample:\n  espalier root status main --watch")
    .action(async (name: string | undefined, options: StatusOptions) => await status(name, options, context));
  add("hold", "holdRotation", "Takes no further step until it is continued.", "espalier root hold main");
  add(
    "continue",
    "continueRotation",
    "Lifts a hold, and says what need not be waited for any more.",
    'espalier root continue main --acknowledge vm:east istiod:east --reason "copies replaced, istiod restarted"',
  ).option("--acknowledge <names...>", "agents and doors, by the names that `root status` has for them");
  add(
    "rollback",
    "rollBackRotation",
    "Back to the root of before, which everybody trusts until it is retired. Waits for nothing.",
    'espalier root rollback main --reason "incident 12"',
  ).option("--to <id>", "the root that is to sign, by its id in `root status`; without it the older of the two");
}

async function change(verb: Verb, name: string | undefined, options: VerbOptions, context: Context): Promise<void> {
  const { socket, reason, output, dryRun = false, acknowledge = [], to = "" } = options;
  const request = { act: { operator: context.user, reason }, ...toTarget(name, options), dryRun, acknowledge, to };
  const rotation = await withAdmin(
    socket,
    async (admin) => await call<object, Rotation__Output>(admin[verb].bind(admin), request, verbDeadlineMs),
  );
  if (output === "json") return context.stdout(toJson(rotation));
  context.stdout(`${toSentence(verb, rotation, dryRun)}\n`);
  if (rotation.phase !== "none") context.stdout(describe(rotation));
}

function toSentence(verb: Verb, { name, kind, changed }: Rotation__Output, dryRun: boolean): string {
  const root = `the ${kind} root "${name}"`;
  if (!changed) return `the rotation of ${root} is so already`;
  const done: Readonly<Record<Verb, string>> = {
    rotateRoot: `the next root of ${root} is made and trusted`,
    holdRotation: `the rotation of ${root} is held`,
    continueRotation: `the rotation of ${root} goes on`,
    rollBackRotation: `the rotation of ${root} goes back`,
  };
  return dryRun ? `nothing done; without --dry-run, ${done[verb]}` : done[verb];
}

async function status(name: string | undefined, options: StatusOptions, context: Context): Promise<void> {
  const isAll = name === undefined && options.serving === undefined && options.hub === undefined;
  const target = isAll ? {} : toTarget(name, options);
  await withAdmin(options.socket, async (admin) => {
    for (;;) {
      const rotations = await list(admin, target);
      const underWay = rotations.filter(({ phase }) => phase !== "none");
      if (options.output === "json") context.stdout(toJson(rotations));
      else context.stdout(underWay.length === 0 ? "no rotation is under way\n" : underWay.map(describe).join("\n"));
      if (options.watch === undefined || underWay.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, watchMs));
      context.stdout("\n");
    }
  });
}

async function list(admin: AdminClient, target: object): Promise<readonly Rotation__Output[]> {
  return (await call<object, Rotations__Output>(admin.listRotations.bind(admin), target, verbDeadlineMs)).rotations;
}

/** The roots that no TrustRoot declares. */
function withTarget(command: Command): Command {
  return command
    .option("--serving <cluster>", "the serving root of this MeshCluster, instead of a TrustRoot")
    .option("--hub", "the hub root, under which agents, issuers and operators have their certificates");
}

function toTarget(name: string | undefined, { serving, hub }: Pick<VerbOptions, "serving" | "hub">): object {
  const [target, ...others] = [
    ...(name === undefined ? [] : [{ trustRoot: name }]),
    ...(serving === undefined ? [] : [{ servingOf: serving }]),
    ...(hub === undefined ? [] : [{ hub }]),
  ];
  if (target === undefined || others.length > 0)
    throw new Refusal("config", "give the name of a TrustRoot, or --serving and a cluster, or --hub; one of them");
  return target;
}

const phases: Readonly<Record<string, string>> = {
  prepared: "prepared: the new root is trusted and signs nothing",
  active: "active: the new root signs, the old one is still trusted",
};

function describe(rotation: Rotation__Output): string {
  const { name, kind, phase, coming, leaving, held, open, opensAtLatest, certificates } = rotation;
  const gate = open ? "open: the issuer that leads takes the step within a minute" : "shut";
  const fields: [string, string][] = [
    ["root", `${name} (${kind})`],
    ["phase", phases[phase] ?? phase],
    [phase === "prepared" ? "new" : "signs", `${coming?.id} until ${coming?.notAfter}, sha256 ${coming?.sha256}`],
    ["old", `${leaving?.id} until ${leaving?.notAfter}, sha256 ${leaving?.sha256}`],
    ["next step", phase === "prepared" ? "the new root signs" : "the old root leaves the bundles"],
    ["gate", held ? "held" : gate],
    [
      "at the latest",
      open ? "now" : opensAtLatest === "" ? "not before what has no end below is seen to" : opensAtLatest,
    ],
    ["held back by", `${certificates} ${certificates === 1 ? "certificate" : "certificates"}`],
  ];
  const tables = [
    toRows(["WAITS FOR", "NAME", "UNTIL", "WHAT"], toWaits(rotation)),
    toRows(["TENANT", "CLUSTER", "DOOR", "CERTIFICATES", "FIRST ENDS", "LAST ENDS"], toLeaves(rotation)),
  ];
  return [toFields(fields), ...tables.filter((table) => table !== "")].join("\n");
}

function toRows(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : toTable(headings, rows);
}

/** Many of one kind hide none of another; leaves have a table of their own. */
function toWaits({ waitingFor, waiting }: Rotation__Output): readonly (readonly string[])[] {
  const byKind = Map.groupBy(waitingFor, ({ kind }) => kind);
  byKind.delete("leaves");
  return [...byKind].flatMap(([kind, all]) => {
    const shown = all.slice(0, shownMax);
    const rows = shown.map(({ name, until, says }) => [kind, name, until, says]);
    return [...rows, ...toMore(shown, waiting[kind] ?? all.length).map((more) => [kind, more])];
  });
}

function toLeaves({ leaves, waiting }: Rotation__Output): readonly (readonly string[])[] {
  const shown = leaves.slice(0, shownMax);
  const rows = shown.map(({ tenant, cluster, door, count, firstEnd, lastEnd }) => {
    return [tenant, cluster, door, String(count), firstEnd, lastEnd];
  });
  return [...rows, ...toMore(shown, waiting["leaves"] ?? leaves.length).map((more) => [more])];
}

function toMore({ length }: readonly unknown[], all: number): readonly string[] {
  return all > length ? [`and ${all - length} more`] : [];
}
