/** `cluster keys list`, `approve`, `reject`, `remove`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { ClusterKey__Output } from "../rpc/gen/espalier/v1/ClusterKey.ts";
import type { ClusterKeys__Output } from "../rpc/gen/espalier/v1/ClusterKeys.ts";
import type { ClusterKeysChange__Output } from "../rpc/gen/espalier/v1/ClusterKeysChange.ts";
import { readJwks } from "../token/jwk.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";
import { readText } from "./read.ts";

interface ChangeOptions {
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

interface NamingOptions extends ChangeOptions {
  readonly thumbprint: readonly string[];
  readonly jwks?: string;
  readonly all?: true;
}

/** A thumbprint may begin with "-": an option's value is taken as it is. */
const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function addClusterKeys(cluster: Command, context: Context): void {
  const keys = cluster
    .command("keys")
    .description("The keys that sign a cluster's tokens, and what its agent proposes in their place.")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier cluster keys west\n  espalier cluster keys approve west --jwks west-jwks.json",
    );
  withOutput(withSocket(keys.command("list <cluster>", { isDefault: true }), context))
    .description("All of them: those in force, and those that are proposed.")
    .addHelpText("after", "\nExample:\n  espalier cluster keys list west")
    .action(async (name: string, { socket, output }: { socket: string; output: Output }) => {
      const found = await listKeys(name, socket);
      context.stdout(output === "json" ? toJson(found) : describe(found));
    });
  withOutput(withReason(withSocket(keys.command("approve <cluster>"), context)))
    .description(
      "Puts the proposed keys in force, in the place of all others. State all of them, as the cluster itself shows them.",
    )
    .option("--jwks <file>", "the cluster's own JWKS (kubectl get --raw /openid/v1/jwks)")
    .option("--thumbprint <value>", "or each of its keys' RFC 7638 thumbprints", collect, [])
    .option("--dry-run", "say what would change and change nothing")
    .addHelpText(
      "after",
      '\nExample:\n  espalier cluster keys approve west --jwks west-jwks.json --reason "key rotation"',
    )
    .action(async (name: string, options: NamingOptions) => {
      const keyThumbprints = await readApproved(name, options);
      const change = await withAdmin(
        options.socket,
        async (admin) =>
          await call<object, ClusterKeysChange__Output>(
            admin.approveClusterKeys.bind(admin),
            { ...toRequest(name, options, context), keyThumbprints },
            verbDeadlineMs,
          ),
      );
      tell(change, "these keys are in force already", options, context);
    });
  withOutput(withReason(withSocket(keys.command("reject <cluster>"), context)))
    .description("Turns what is proposed down. The same proposal is not shown again; the keys in force stay.")
    .addHelpText("after", '\nExample:\n  espalier cluster keys reject west --reason "not ours"')
    .action(async (name: string, options: ChangeOptions) => {
      const change = await withAdmin(
        options.socket,
        async (admin) =>
          await call<object, ClusterKeysChange__Output>(
            admin.rejectClusterKeys.bind(admin),
            toRequest(name, options, context),
            verbDeadlineMs,
          ),
      );
      if (options.output === "json") return context.stdout(toJson(change));
      context.stdout(`cluster "${name}": ${change.changed ? "the proposal is rejected" : "no proposal waits"}\n`);
    });
  withOutput(withReason(withSocket(keys.command("remove <cluster>"), context)))
    .description(
      "Takes away keys that a join or an approval has registered, and join tokens that could bring them back. Also of a cluster that is declared no more.",
    )
    .option("--thumbprint <value>", "the key; once for each", collect, [])
    .option("--all", "or all that the cluster has registered")
    .option("--dry-run", "say what would go and take nothing away")
    .addHelpText("after", '\nExample:\n  espalier cluster keys remove west --all --reason "decommissioned"')
    .action(async (name: string, options: NamingOptions) => {
      const { thumbprint: keyThumbprints } = options;
      if ((options.all === true) === keyThumbprints.length > 0)
        throw new Refusal(
          "config",
          `say which keys, or --all: \`espalier cluster keys list ${name}\` shows what there is`,
        );
      const change = await withAdmin(
        options.socket,
        async (admin) =>
          await call<object, ClusterKeysChange__Output>(
            admin.removeClusterKeys.bind(admin),
            { ...toRequest(name, options, context), keyThumbprints },
            verbDeadlineMs,
          ),
      );
      tell(change, "it has no such keys", options, context);
    });
}

function toRequest(cluster: string, { reason, dryRun }: ChangeOptions, { user }: Context): object {
  return { act: { operator: user, reason }, cluster, dryRun: dryRun === true };
}

/** The operator has seen them elsewhere, or is shown what to compare. */
async function readApproved(
  name: string,
  { thumbprint: thumbprints, jwks, socket }: NamingOptions,
): Promise<readonly string[]> {
  if (jwks !== undefined && thumbprints.length > 0)
    throw new Refusal("config", "give --jwks or --thumbprint, not both");
  if (jwks !== undefined) return readJwks(await readText(jwks)).map(({ thumbprint }) => thumbprint);
  if (thumbprints.length > 0) return thumbprints;
  const { keys, proposal } = await listKeys(name, socket);
  const proposed = proposal === "pending" ? keys.filter((key) => key.proposed) : [];
  if (proposed.length === 0) throw new Refusal("not-ready", `cluster "${name}" proposes no keys`);
  throw new Refusal(
    "config",
    `state the keys as the cluster itself shows them: --jwks FILE (kubectl get --raw /openid/v1/jwks), or --thumbprint for each; its agent proposes ${proposed.map(({ thumbprint }) => thumbprint).join(" ")}`,
  );
}

function tell(
  change: ClusterKeysChange__Output,
  same: string,
  { output, dryRun }: ChangeOptions,
  { stdout }: Context,
): void {
  if (output === "json") return stdout(toJson(change));
  const { cluster, changed, added, removed } = change;
  if (!changed) return stdout(`cluster "${cluster}": ${same}\n`);
  const lines = [...added.map((one) => `+ ${one}`), ...removed.map((one) => `- ${one}`)].map((line) => `  ${line}\n`);
  stdout(`cluster "${cluster}": ${dryRun ? "its keys would be changed" : "its keys are changed"}\n${lines.join("")}`);
}

function describe({ cluster, source, proposal, proposedAt, keys }: ClusterKeys__Output): string {
  const fields = toFields([
    ["cluster", cluster],
    ["keys", source === "" ? "left behind: the cluster is declared no more" : source],
    ["proposal", proposal === "" ? "" : `${proposal}, of ${proposedAt}`],
  ]);
  const rows = keys.map((key) => [key.thumbprint, key.algorithm, stateOf(key, source, proposal), key.kid]);
  const hint =
    proposal === "pending"
      ? `\nCompare the proposed keys with the cluster's own: kubectl get --raw /openid/v1/jwks > jwks.json, then\n  espalier cluster keys approve ${cluster} --jwks jwks.json\n  espalier cluster keys reject ${cluster}\n`
      : "";
  return `${fields}\n${toTable(["THUMBPRINT", "ALGORITHM", "STATE", "KID"], rows)}${hint}`;
}

function stateOf({ inForce, registered, proposed }: ClusterKey__Output, source: string, proposal: string): string {
  if (inForce) return proposal === "pending" && !proposed ? "in force until approval" : "in force";
  if (proposed && proposal !== "approved") return proposal === "pending" ? "proposed" : "rejected";
  if (registered && source === "") return "registered";
  return registered || source === "static" ? "another cluster's" : "gone";
}

async function listKeys(cluster: string, socket: string): Promise<ClusterKeys__Output> {
  return await withAdmin(
    socket,
    async (admin) =>
      await call<object, ClusterKeys__Output>(admin.listClusterKeys.bind(admin), { cluster }, verbDeadlineMs),
  );
}
