/** `cluster list`, `show`, `add`, `join-token`, `keys`, `suspend`, `resume`. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { Cluster__Output } from "../rpc/gen/espalier/v1/Cluster.ts";
import type { Clusters__Output } from "../rpc/gen/espalier/v1/Clusters.ts";
import type { JoinToken__Output } from "../rpc/gen/espalier/v1/JoinToken.ts";
import { readJwks } from "../token/jwk.ts";
import { addClusterAdd } from "./cluster-add.ts";
import { addClusterKeys } from "./cluster-keys.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";
import { readText, readWhole } from "./read.ts";
import { addSuspension } from "./suspend.ts";

interface JoinTokenOptions {
  readonly thumbprint?: string;
  readonly jwks?: string;
  readonly ttl: string;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
}

export function addCluster(program: Command, context: Context): void {
  const cluster = program
    .command("cluster")
    .description("Clusters that may ask. They are declared in the issuer's resources.")
    .addHelpText("after", "\nExample:\n  espalier cluster show east");
  withOutput(withSocket(cluster.command("list"), context))
    .description("All clusters, and what keeps any of them from being served.")
    .addHelpText("after", "\nExample:\n  espalier cluster list")
    .action(async ({ socket, output }: { socket: string; output: Output }) => {
      const clusters = await listClusters(socket);
      const rows = clusters.map((c) => [
        c.name,
        c.tokenIssuer,
        String(c.keyThumbprints.length),
        String(c.acknowledgements.length),
        stateOf(c),
        c.problem === "" ? c.notice : c.problem,
      ]);
      context.stdout(
        output === "json"
          ? toJson(clusters)
          : toTable(["NAME", "TOKEN ISSUER", "KEYS", "AGENTS", "STATE", "PROBLEM"], rows),
      );
    });
  withOutput(withSocket(cluster.command("show <name>"), context))
    .description("One cluster: its keys, its serving names, what its agents have in force.")
    .addHelpText("after", "\nExample:\n  espalier cluster show east")
    .action(async (name: string, { socket, output }: { socket: string; output: Output }) => {
      const found = (await listClusters(socket)).find((c) => c.name === name);
      if (found === undefined)
        throw new Refusal(
          "not-found",
          `no cluster "${name}" is declared: \`espalier cluster list\` shows what there is`,
        );
      context.stdout(output === "json" ? toJson(found) : describe(found));
    });
  addClusterAdd(cluster, context);
  withOutput(withReason(withSocket(cluster.command("join-token <name>"), context)))
    .description("A one-time token that lets the cluster's agent register the one token-signing key it states.")
    .option("--jwks <file>", "the cluster's JWKS with that one key (kubectl get --raw /openid/v1/jwks)")
    .option("--thumbprint <value>", "or the key's RFC 7638 thumbprint, SHA-256 in base64url")
    .option("--ttl <seconds>", "how long it may be used, at most 7 days", "3600")
    .addHelpText("after", "\nExample:\n  espalier cluster join-token west --jwks west-jwks.json > join-token")
    .action(async (name: string, options: JoinTokenOptions) => await createJoinToken(name, options, context));
  addClusterKeys(cluster, context);
  addSuspension(cluster, "cluster", context);
}

async function createJoinToken(
  name: string,
  options: JoinTokenOptions,
  { stdout, stderr, user, isTerminal }: Context,
): Promise<void> {
  const keyThumbprint = await readThumbprint(options);
  const ttlSeconds = readWhole("--ttl", options.ttl, 1);
  const request = { act: { operator: user, reason: options.reason }, cluster: name, keyThumbprint, ttlSeconds };
  const made = await withAdmin(
    options.socket,
    async (admin) => await call<object, JoinToken__Output>(admin.createJoinToken.bind(admin), request, verbDeadlineMs),
  );
  if (options.output === "json") return stdout(toJson(made));
  stdout(`${made.token}\n`);
  if (isTerminal)
    stderr(
      `for cluster "${name}" and key ${keyThumbprint}, once, until ${made.expiresAt}; put it into the agent's joinTokenFile\n`,
    );
}

async function readThumbprint({ thumbprint, jwks }: JoinTokenOptions): Promise<string> {
  if ((thumbprint === undefined) === (jwks === undefined))
    throw new Refusal("config", "state the cluster's key: --jwks FILE or --thumbprint VALUE");
  if (thumbprint !== undefined) return thumbprint;
  const keys = readJwks(await readText(jwks ?? ""));
  const [key] = keys;
  if (key === undefined || keys.length > 1)
    throw new Refusal(
      "config",
      `${jwks} holds ${keys.length} keys: say which with --thumbprint (${keys.map((k) => k.thumbprint).join(", ")})`,
    );
  return key.thumbprint;
}

function stateOf({ suspended, problem }: Cluster__Output): string {
  if (suspended) return "suspended";
  return problem === "" ? "ready" : "not ready";
}

function describe(c: Cluster__Output): string {
  const fields: [string, string][] = [
    ["name", c.name],
    ["state", stateOf(c)],
    ["problem", c.problem],
    ["notice", c.notice],
    ["token issuer", c.tokenIssuer],
    ["keys", c.keyThumbprints.join(", ")],
    ["serving names", c.servingNames.join(", ")],
  ];
  const agents = c.acknowledgements.map((a) => [a.agent, a.version, a.inForceSince]);
  return `${toFields(fields)}\n${toTable(["AGENT", "TRUST IN FORCE", "SINCE"], agents)}`;
}

async function listClusters(socket: string): Promise<readonly Cluster__Output[]> {
  return (
    await withAdmin(
      socket,
      async (admin) => await call<object, Clusters__Output>(admin.listClusters.bind(admin), {}, verbDeadlineMs),
    )
  ).clusters;
}
