/** `cluster add`: a MeshCluster's document, from what the cluster itself says of its tokens. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { z } from "zod";
import { Refusal } from "../errors.ts";
import { apiVersion } from "../resources/fields.ts";
import { readFiles } from "../resources/load.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import { toLine } from "../resources/problem.ts";
import { readApart, readDocuments } from "../resources/read.ts";
import { type Jwk, readJwks, toJwk } from "../token/jwk.ts";
import { startKeySet } from "../token/jwks-source.ts";
import { readOpenid } from "./cluster-openid.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { toJson } from "./output.ts";
import { readText } from "./read.ts";
import { write } from "./write.ts";

const sources = ["static", "url", "joined", "proposed"] as const;

interface AddOptions {
  readonly fromKubeconfig?: string;
  readonly context?: string;
  readonly openid?: string;
  readonly jwks?: string;
  readonly keys: (typeof sources)[number];
  readonly audience: readonly string[];
  readonly agent: string;
  readonly ztunnel: readonly string[];
  readonly servingName: readonly string[];
  readonly resources?: string;
  readonly hub?: string;
  readonly out?: string;
  readonly dryRun?: true;
  readonly output: Output;
}

/** What a cluster says of its tokens. */
interface Seen {
  readonly issuer: string;
  readonly jwksUri: string;
  readonly keys: readonly Jwk[];
}

/** What became of it. */
interface Made {
  readonly document: object;
  readonly text: string;
  readonly path?: string;
  readonly changed: boolean;
  readonly warnings: readonly string[];
}

export function addClusterAdd(cluster: Command, context: Context): void {
  withOutput(cluster.command("add <name>"))
    .description("Reads a cluster's token issuer and keys from its API server, and prints or writes its MeshCluster.")
    .option("--from-kubeconfig <file>", "how to reach the API server")
    .option("--context <name>", "that context of it, instead of its current one")
    .option("--openid <file>", "instead: what kubectl get --raw /.well-known/openid-configuration says")
    .option("--jwks <file>", "and what kubectl get --raw /openid/v1/jwks says")
    .addOption(new Option("--keys <source>", "where the hub has the keys from").choices(sources).default("static"))
    .option("--audience <name...>", "audiences of workloads' tokens", ["istio-ca"])
    .option("--agent <namespace/account>", "who the cluster's agent is", "espalier-system/espalier-agent")
    .option("--ztunnel <namespace/account...>", "whose word counts as proof impersonated", [])
    .option("--serving-name <name...>", "what its agent and its istiod serve under", [
      "espalier-agent.espalier-system.svc",
      "istiod.istio-system.svc",
    ])
    .option("--resources <directory>", "write it among these documents, if it holds together with them")
    .option("--hub <name>", "with --resources: the hub they are for")
    .option("--out <file>", "write it there, unchecked beside others")
    .option("--dry-run", "say what would be written and write nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier cluster add east --from-kubeconfig ~/.kube/config --context east --resources espalier-data/resources\n  espalier cluster add east --from-kubeconfig east.kubeconfig --ztunnel istio-system/ztunnel > east.yaml\n  espalier cluster add east --openid openid.json --jwks jwks.json --keys url",
    )
    .action(async (name: string, options: AddOptions) => await add(name, options, context));
}

async function add(name: string, options: AddOptions, { stdout, stderr, isTerminal }: Context): Promise<void> {
  if (options.resources !== undefined && options.out !== undefined)
    throw new Refusal("config", "give --resources or --out, not both");
  const seen = await see(options);
  const document = toDocument(name, seen, options);
  // kubectl reads YAML 1.1, where the n of a JWK would be "false".
  const text = stringify(document, { lineWidth: 0, compat: "yaml-1.1" });
  // Every rule that it can break alone, also where nobody holds it against others.
  const cluster = readOne(name, text);
  const placed = await place(name, { document, text }, cluster, options);
  const made = { ...placed, warnings: [...placed.warnings, ...(await tryAddress(cluster, seen))] };
  for (const warning of made.warnings) stderr(`warning: ${warning}\n`);
  const thumbprints = seen.keys.map(({ thumbprint }) => thumbprint);
  if (options.output === "json")
    return stdout(toJson({ name, issuer: seen.issuer, keyThumbprints: thumbprints, ...made }));
  if (made.path === undefined) {
    stdout(text);
    if (isTerminal) stderr(next(name, thumbprints, options));
    return;
  }
  if (!made.changed) return stdout(`cluster "${name}" is declared so already, in ${made.path}; nothing to do\n`);
  stdout(
    `${options.dryRun ? "would write" : "wrote"} ${made.path}: issuer ${seen.issuer}, keys ${thumbprints.join(" ")}\n`,
  );
  stdout(options.dryRun ? text : next(name, thumbprints, options));
}

async function see({ fromKubeconfig, context, openid, jwks }: AddOptions): Promise<Seen> {
  if ((fromKubeconfig === undefined) === (openid === undefined) || (openid === undefined) !== (jwks === undefined))
    throw new Refusal(
      "config",
      "say where the cluster's keys are read: --from-kubeconfig FILE, or --openid FILE and --jwks FILE",
    );
  const said =
    fromKubeconfig === undefined
      ? { openid: parse(await readText(openid ?? ""), openid ?? ""), jwks: await readText(jwks ?? "") }
      : await readOpenid(fromKubeconfig, context);
  const discovery = z.object({ issuer: z.string().min(1), jwks_uri: z.string() }).safeParse(said.openid);
  if (!discovery.success)
    throw new Refusal("config", "the OpenID configuration of the cluster has no issuer and jwks_uri");
  return { issuer: discovery.data.issuer, jwksUri: discovery.data.jwks_uri, keys: readJwks(said.jwks) };
}

function parse(text: string, path: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    throw new Refusal("config", `${path} is not JSON`, { cause });
  }
}

function toDocument(name: string, { issuer, jwksUri, keys }: Seen, options: AddOptions): object {
  const [namespace, serviceAccount, ...rest] = options.agent.split("/");
  if (serviceAccount === undefined || rest.length > 0)
    throw new Refusal("config", `--agent is <namespace>/<service account>, not "${options.agent}"`);
  const from = {
    static: { jwks: { keys: keys.map(toJwk) } },
    url: { url: jwksUri },
    joined: { joined: true },
    proposed: { proposed: "approved" },
  } as const;
  return {
    apiVersion,
    kind: "MeshCluster",
    metadata: { name },
    spec: {
      tokens: { issuer, keys: from[options.keys], audiences: options.audience },
      agent: { namespace, serviceAccount },
      ...(options.ztunnel.length === 0 ? {} : { ztunnelAccounts: options.ztunnel }),
      servingNames: options.servingName,
    },
  };
}

function readOne(name: string, text: string): MeshCluster {
  const cluster = readDocuments([{ path: `${name}.yaml`, text }]).clusters.get(name);
  if (cluster === undefined) throw new Error("a document that was read has no cluster");
  return cluster;
}

/** What the hub will meet at the address, as far as this machine can tell. */
async function tryAddress({ tokens }: MeshCluster, { keys }: Seen): Promise<readonly string[]> {
  if (tokens.keys.kind !== "url") return [];
  const { url } = tokens.keys;
  let why = "";
  const onFailure = (error: unknown): void => {
    why = error instanceof Error ? error.message : String(error);
  };
  await using fetched = await startKeySet({ kind: "url", url }, { onFailure, refreshMs: 3_600_000 });
  const shown = fetched.keys().map(({ thumbprint }) => thumbprint);
  if (shown.length === 0)
    return [
      `${why}: the hub must be able to, without credentials, under a certificate that its machine's roots verify`,
    ];
  return keys.every(({ thumbprint }) => shown.includes(thumbprint))
    ? []
    : [`${url} does not show all the keys that the API server does`];
}

/** Where it goes, if anywhere; what is there already is never changed. */
async function place(
  name: string,
  { document, text }: Pick<Made, "document" | "text">,
  cluster: MeshCluster,
  { resources, hub, out, dryRun }: AddOptions,
): Promise<Made> {
  const made = { document, text, warnings: [] };
  if (out !== undefined) {
    const there = (await exists(out)) ? await readText(out) : undefined;
    if (there !== undefined && there !== text)
      throw new Refusal(
        "not-ready",
        `${out} is there already and says something else: move it away, or write elsewhere`,
      );
    if (there === undefined && dryRun === undefined) await write(out, text, 0o644);
    return { ...made, path: out, changed: there === undefined };
  }
  if (resources === undefined) return { ...made, changed: true };
  const files = await readFiles(resources);
  const context = hub === undefined ? {} : { hub };
  // A tenant may name the cluster already: they hold together only once it is there.
  const before = readApart(files).clusters.get(name);
  if (before !== undefined) {
    const differing = differences(before, cluster);
    if (differing.length > 0)
      throw new Refusal(
        "not-ready",
        `MeshCluster "${name}" is declared already and differs in ${differing.join(", ")}: edit its document, which is never changed here`,
      );
    return { ...made, path: resources, changed: false };
  }
  const path = join(resources, `${name}.yaml`);
  if (await exists(path)) throw new Refusal("not-ready", `${path} is there already, with something else in it`);
  const { warnings } = readDocuments([...files, { path, text }], context);
  // If we stop before this, nothing is declared; after it, the issuer that follows the directory takes it in.
  if (dryRun === undefined) await write(path, text, 0o644);
  return { ...made, path, changed: true, warnings: warnings.map(toLine) };
}

/** Fields in which two declarations of one cluster are not the same; keys are compared, not how they are written down. */
function differences(before: MeshCluster, after: MeshCluster): readonly string[] {
  const [old, next] = [toFields(before), toFields(after)];
  return Object.keys(old).filter((field) => JSON.stringify(old[field]) !== JSON.stringify(next[field]));
}

function toFields({ tokens, agent, ...cluster }: MeshCluster): Readonly<Record<string, unknown>> {
  const { keys } = tokens;
  return {
    "tokens.issuer": tokens.issuer,
    "tokens.audiences": tokens.audiences,
    "tokens.keys": keys.kind === "static" ? keys.keys.map(({ thumbprint }) => thumbprint).sort() : keys,
    agent: [agent.namespace, agent.serviceAccount],
    ztunnelAccounts: cluster.ztunnelAccounts,
    requesters: cluster.requesters,
    aliases: cluster.aliases,
    servingNames: cluster.servingNames,
    suspended: cluster.suspended,
  };
}

function next(name: string, thumbprints: readonly string[], { keys }: AddOptions): string {
  const joins =
    keys === "joined" || keys === "proposed"
      ? thumbprints.map((one) => `  espalier cluster join-token ${name} --thumbprint ${one}\n`)
      : [];
  return `next, where the issuer runs:\n  espalier root create --serving ${name}\n${joins.join("")}`;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
