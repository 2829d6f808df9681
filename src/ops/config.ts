/** One strict YAML file per process. A mistake refuses to start, in one sentence with the key's path. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { z } from "zod";
import { Refusal } from "../errors.ts";
import { custodySchema } from "./custody-config.ts";
import { databaseSchema, isPostgres, postgresSchema } from "./database-config.ts";

const address = z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, "expected host:port");
const path = z.string().min(1);
const level = z.enum(["debug", "info", "warn", "error", "silent"]).default("info");

/** Paths are relative to the file's own directory. */
export const issuerSchema = z.strictObject({
  hub: z.string().describe("The hub's name: the trust domain of agents, issuers and operators."),
  hubRootSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe("Hex SHA-256 that the hub root must have. None is made then, so that an empty database is no new hub."),
  listen: address.default("0.0.0.0:15443").describe("Where agents reach the issuer (mTLS), host:port."),
  serverNames: z
    .array(z.string())
    .default([])
    .describe("DNS names of the issuer's serving certificate, beside issuer.<hub>."),
  http: address.default("127.0.0.1:15014").describe("Plain HTTP for /metrics, /healthz and /readyz, host:port."),
  adminSocket: path.default("admin.sock").describe("Unix socket for operators' verbs; its directory must be private."),
  adminListen: address
    .optional()
    .describe("Where operators with a certificate reach the issuer (mTLS), host:port; the socket alone if absent."),
  resources: path.default("resources").describe("Directory of YAML documents: TrustRoot, MeshTenant, MeshCluster."),
  kubernetes: z
    .strictObject({
      kubeconfig: path.optional().describe("Kubeconfig file; the pod's own service account if absent."),
    })
    .optional()
    .describe("The cluster whose API has the same documents as objects; resources is not read then."),
  database: databaseSchema,
  postgres: postgresSchema,
  keys: path.default("keys").describe("Directory of private keys, 0700."),
  passphraseFile: path
    .optional()
    .describe("File with the passphrase of the keys; without it they are stored unencrypted."),
  custody: custodySchema,
  highWater: path
    .optional()
    .describe(
      "File that remembers the ledger's newest entry outside of the database, so that an older copy of it is refused; <adminSocket>.newest if absent. No part of a backup.",
    ),
  retention: z
    .strictObject({
      keepDays: z
        .union([z.int().min(30).max(36_500), z.literal("forever")])
        .default(400)
        .describe(
          "How long the ledger keeps what an intent says after its certificate has expired, in days, or forever. Hashes stay.",
        ),
    })
    .prefault({})
    .describe("What the ledger lets go."),
  rotation: z
    .strictObject({
      settleSeconds: z
        .int()
        .min(60)
        .max(7 * 86_400)
        .default(3600)
        .describe(
          "How long a step of a root's rotation waits after the last certificate and the last agent that it waited for, in seconds. Clocks may be wrong by as much, and whoever reads a mounted ConfigMap has that time.",
        ),
    })
    .prefault({})
    .describe("How roots are rotated."),
  queueBytes: z
    .int()
    .min(65_536)
    .default(64 * 1024 * 1024)
    .describe("What may wait to be signed, in bytes."),
  log: level.describe("Least severe level that is logged."),
});

/** What one istiod, and the pods that are its own, are given. */
const controlPlane = {
  rootConfigMap: z
    .string()
    .default("istio-ca-root-cert")
    .describe("ConfigMap with the roots, written in every selected namespace and in istiod's."),
  namespaceSelector: z
    .record(z.string(), z.string())
    .default({})
    .describe("Labels a namespace must have to get that ConfigMap; all namespaces if empty."),
  istiodNamespace: z.string().default("istio-system").describe("istiod's namespace: it gets its tenants' roots too."),
  istiodSecret: z
    .string()
    .default("istiod-tls")
    .describe("Secret in that namespace for istiod's serving certificate; empty for none."),
};

export const agentSchema = z.strictObject({
  hub: z.string().describe("The hub's name, as the issuer has it."),
  cluster: z.string().describe("This cluster's name: the MeshCluster."),
  aliases: z.array(z.string()).default([]).describe("Other cluster ids that this cluster's workloads may state."),
  listen: address.default("0.0.0.0:15012").describe("Where workloads reach the agent (TLS), host:port."),
  http: address.default("127.0.0.1:15020").describe("Plain HTTP for /metrics, /healthz and /readyz, host:port."),
  issuers: z.array(address).min(1).describe("The issuers, host:port each."),
  issuerName: z.string().optional().describe("DNS name the issuers' certificates carry; issuer.<hub> if absent."),
  hubRoots: path.describe(
    "PEM file with the hub root, as `espalier init` wrote it; with both while it is rotated. What the hub says later counts from then on.",
  ),
  hubRootSha256: z
    .string()
    .regex(/^[0-9a-f]{64}( [0-9a-f]{64})*$/)
    .optional()
    .describe("Hex SHA-256 that the hub root must have; those of several with a space between them."),
  data: path.default("agent-data").describe("Directory for the agent's own keys and certificates, 0700."),
  tokenFile: path.describe("The agent's own service-account token, audience espalier:<hub>."),
  joinTokenFile: path.optional().describe("One-time join token, where the hub cannot reach the cluster's keys."),
  tokens: z
    .strictObject({
      issuer: z.string().describe("The exact iss of the cluster's service-account tokens."),
      jwksFile: path.optional().describe("The cluster's JWKS. Without it the issuer's URL is asked for it."),
      caFile: path.optional().describe("PEM roots for that URL; the system's if absent."),
      audiences: z.array(z.string()).min(1).default(["istio-ca"]).describe("Audiences a workload's token may have."),
    })
    .describe("How workloads' tokens are verified."),
  kubernetes: z
    .strictObject({
      kubeconfig: path.optional().describe("Kubeconfig file; the pod's own service account if absent."),
      namespace: z.string().describe("The agent's own namespace: its Lease and the Secret with its state are there."),
      name: z.string().default("espalier-agent").describe("Name of the Lease; the Secret is called <name>-state."),
      tokens: z
        .enum(["local", "review"])
        .default("local")
        .describe(
          "Who judges workloads' tokens: the agent, with the cluster's keys, or the API server, by TokenReview.",
        ),
      stalenessSeconds: z
        .int()
        .min(120)
        .max(3600)
        .default(300)
        .describe("How old what is known of pods may be before requests are answered UNAVAILABLE, in seconds."),
      ztunnelAccounts: z
        .array(z.string().regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, "expected namespace/account"))
        .default([])
        .describe("Accounts of ztunnel, namespace/account: they may ask for the workloads of their node."),
      ...controlPlane,
      clusterTrustBundle: z
        .string()
        .regex(/^[a-z0-9.-]+:[a-z0-9.-]+:[a-z0-9.-]+$/, "expected the signer's domain:path, and :name")
        .optional()
        .describe("ClusterTrustBundle with the same roots, such as istio.io:istiod-ca:root-cert; none if absent."),
      certManager: z
        .boolean()
        .default(false)
        .describe("Whether CertificateRequests of TenantIssuers and TenantClusterIssuers are served."),
      signingRequests: z
        .boolean()
        .default(false)
        .describe("Whether CertificateSigningRequests for TenantIssuers and TenantClusterIssuers are served."),
      revisions: z
        .array(
          z.strictObject({
            name: z.string().min(1).describe("Its name, as Istio has it."),
            ...controlPlane,
          }),
        )
        .max(16)
        .default([])
        .describe("Istio's other control planes in this cluster, beside the one above."),
    })
    .optional()
    .describe("The cluster's API. Without it tokens are bound to nothing that lives, and nothing is distributed."),
  deadlineMs: z
    .int()
    .min(500)
    .max(60_000)
    .default(10_000)
    .describe("How long a workload waits at most, in milliseconds."),
  channelsPerIssuer: z.int().min(1).max(16).default(2).describe("Connections to each issuer."),
  log: level.describe("Least severe level that is logged."),
});

export type IssuerConfig = z.infer<typeof issuerSchema>;
export type AgentConfig = z.infer<typeof agentSchema>;

/** Paths that a configuration names, made absolute. */
const issuerPaths = ["adminSocket", "resources", "keys", "passphraseFile", "highWater"] as const;
const sealedPaths = ["keyFile"] as const;
const pkcs11Paths = ["module", "pinFile"] as const;
const postgresPaths = ["passwordFile", "caFile", "certificateFile", "keyFile"] as const;
const agentPaths = ["hubRoots", "data", "tokenFile", "joinTokenFile"] as const;

export async function readIssuerConfig(file: string): Promise<IssuerConfig> {
  const config = parse(issuerSchema, file, await load(file));
  const database = isPostgres(config.database) ? {} : absolute(config, ["database"], file);
  const postgres = { ...config.postgres, ...absolute(config.postgres, postgresPaths, file) };
  const kubernetes = config.kubernetes && {
    ...config.kubernetes,
    ...absolute(config.kubernetes, ["kubeconfig"], file),
  };
  const { sealed, pkcs11 } = config.custody;
  if (config.passphraseFile !== undefined && (sealed ?? pkcs11) !== undefined)
    throw new Refusal("config", `${file}: passphraseFile: it encrypts key files, and custody says that there are none`);
  const custody = {
    sealed: sealed && { ...sealed, ...absolute(sealed, sealedPaths, file) },
    pkcs11: pkcs11 && { ...pkcs11, ...absolute(pkcs11, pkcs11Paths, file) },
  };
  return { ...config, ...absolute(config, issuerPaths, file), ...database, postgres, custody, kubernetes };
}

export async function readAgentConfig(file: string): Promise<AgentConfig> {
  const config = readAgentText(await load(file), file);
  const tokens = { ...config.tokens, ...absolute(config.tokens, ["jwksFile", "caFile"], file) };
  const kubernetes = config.kubernetes && {
    ...config.kubernetes,
    ...absolute(config.kubernetes, ["kubeconfig"], file),
  };
  return { ...config, ...absolute(config, agentPaths, file), tokens, kubernetes };
}

/** As it stands in a ConfigMap: its paths are where it is mounted. `file` is what a mistake is said to be in. */
export function readAgentText(text: string, file: string): AgentConfig {
  return parse(agentSchema, file, text);
}

async function load(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Refusal("config", `cannot read the configuration ${file}`, { cause: error });
  }
}

function parse<T>(schema: z.ZodType<T>, file: string, text: string): T {
  const document = parseDocument(text, { uniqueKeys: true, merge: false });
  const [broken] = document.errors;
  if (broken !== undefined) throw new Refusal("config", `${file}: ${broken.message}`);
  const read = schema.safeParse(toValue(document, file), { reportInput: true });
  if (read.success) return read.data;
  const [first] = read.error.issues;
  throw new Refusal("config", `${file}: ${first === undefined ? "does not fit" : toRule(first)}`);
}

/** The key's path and the rule it breaks. */
function toRule(issue: z.core.$ZodIssue): string {
  const path = issue.path.join(".");
  const at = (key: string, rule: string): string => `${key === "" ? "the file" : key}: ${rule}`;
  if (issue.code === "unrecognized_keys")
    return at([...issue.path, issue.keys[0] ?? ""].join("."), "there is no such key");
  if (issue.code === "invalid_type" && issue.input === undefined) return at(path, "is missing");
  return at(path, issue.message.replace(/^Invalid input: e/, "e"));
}

/** Without aliases: they are disabled, for a short file can mean a very long one by them. */
function toValue(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new Refusal("config", `${file}: ${cause instanceof Error ? cause.message : "cannot be read"}`, { cause });
  }
}

function absolute<T extends object, K extends keyof T>(
  config: T,
  keys: readonly K[],
  file: string,
): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {};
  for (const key of keys) {
    const value = config[key];
    if (typeof value === "string") found[key] = resolve(dirname(file), value);
  }
  return found;
}
