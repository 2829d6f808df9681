/** `root import`: takes over the CA that istiod has had, so that a running mesh goes on under the root it trusts already. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { openClient } from "../kube/client.ts";
import { recordAt, textAt } from "../kube/json.ts";
import { kubeconfigCredentials } from "../kube/kubeconfig.ts";
import { getObject } from "../kube/objects.ts";
import { resources } from "../kube/resource.ts";
import { call } from "../rpc/client.ts";
import type { TakenAuthority__Output } from "../rpc/gen/espalier/v1/TakenAuthority.ts";
import type { Tenants__Output } from "../rpc/gen/espalier/v1/Tenants.ts";
import { tellTaken } from "./authority.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { type IstioCa, istioCaFiles, readIstioCa } from "./istio-ca.ts";
import { toJson } from "./output.ts";
import { checkNear } from "./reach.ts";
import { bringRoot, tellBrought } from "./root-bring.ts";

interface ImportOptions {
  readonly fromSecretDir?: string;
  readonly fromKubeconfig?: string;
  readonly context?: string;
  readonly secret: string;
  readonly tenant?: string;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

/** Larger than any certificate bundle that is read. */
const fileBytesMax = 1024 * 1024;

export function addRootImport(root: Command, context: Context): void {
  withOutput(withReason(withSocket(root.command("import <name>"), context)))
    .description(
      "Takes over the CA of a mesh from Istio's Secret: its self-signed CA becomes the root (source brought); one below an outside root becomes the tenant's authority, and that root is trusted (source offline).",
    )
    .option("--from-secret-dir <directory>", "the Secret's keys as files, as kubectl or a mount gives them")
    .option("--from-kubeconfig <file>", "or the cluster it is in")
    .option("--context <name>", "that context of it, instead of its current one")
    .option(
      "--secret <namespace/name>",
      "the Secret; cacerts is Istio's other name for one",
      "istio-system/istio-ca-secret",
    )
    .option("--tenant <name>", "whose authority the CA becomes, where the root has several tenants")
    .option("--dry-run", "say what would be taken over, and take nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier root import mesh --from-kubeconfig ~/.kube/config --dry-run\n  espalier root import mesh --from-kubeconfig ~/.kube/config --secret istio-system/cacerts\n  espalier root import mesh --from-secret-dir ./cacerts --tenant payments",
    )
    .action(async (name: string, options: ImportOptions) => await importCa(name, options, context));
}

async function importCa(name: string, options: ImportOptions, context: Context): Promise<void> {
  await checkNear(options.socket);
  const ca = readIstioCa(await readSecret(options));
  const dryRun = options.dryRun === true;
  if (options.output === "table") context.stderr(`${meaning[ca.kind]}\n`);
  const { certificate, key } = ca;
  if (ca.kind === "root") {
    const brought = await bringRoot({ name, certificate, key, dryRun }, options, context);
    if (options.output === "json") return context.stdout(toJson({ brought }));
    tellBrought(brought, context);
  } else {
    const tenant = options.tenant ?? (await findTenant(name, options.socket));
    const brought = await bringRoot({ name, certificate: ca.root, dryRun }, options, context);
    // In a dry run the root is not there yet for the authority to be held against.
    const missing = dryRun && brought.root?.pem === "";
    const taken = missing ? undefined : await importAuthority({ tenant, certificate, key, dryRun }, options, context);
    if (options.output === "json") return context.stdout(toJson({ brought, taken }));
    tellBrought(brought, context);
    if (taken === undefined) context.stdout(`would then take the CA as an authority of tenant "${tenant}"\n`);
    else tellTaken(taken, dryRun, context);
  }
  if (!dryRun) context.stdout(`\n${after(options)}\n`);
}

const meaning: Readonly<Record<IstioCa["kind"], string>> = {
  root: "the CA is its own root: a TrustRoot with source brought takes it",
  authority:
    "the CA stands under an outside root: a TrustRoot with source offline trusts that, and a tenant takes the CA",
};

function after({ fromSecretDir, secret }: ImportOptions): string {
  return fromSecretDir === undefined
    ? `The Secret ${secret} has its key still. Delete it when no istiod signs with it any more.`
    : `Its key is in the issuer's custody. Destroy what ${fromSecretDir} holds, and the Secret when no istiod signs with it any more.`;
}

async function importAuthority(
  request: {
    readonly tenant: string;
    readonly certificate: Uint8Array;
    readonly key: Uint8Array;
    readonly dryRun: boolean;
  },
  { socket, reason }: ImportOptions,
  { user }: Context,
): Promise<TakenAuthority__Output> {
  return await withAdmin(
    socket,
    async (admin) =>
      await call<object, TakenAuthority__Output>(
        admin.importAuthority.bind(admin),
        { act: { operator: user, reason }, ...request },
        verbDeadlineMs,
      ),
  );
}

async function findTenant(root: string, socket: string): Promise<string> {
  const { tenants } = await withAdmin(
    socket,
    async (admin) => await call<object, Tenants__Output>(admin.listTenants.bind(admin), {}, verbDeadlineMs),
  );
  const [first, ...rest] = tenants.filter((tenant) => tenant.root === root).map((tenant) => tenant.name);
  if (first === undefined)
    throw new Refusal("config", `no tenant has the root "${root}": the CA becomes a tenant's authority`);
  if (rest.length > 0)
    throw new Refusal("config", `say whose authority the CA becomes, with --tenant: ${[first, ...rest].join(", ")}`);
  return first;
}

async function readSecret(options: ImportOptions): Promise<ReadonlyMap<string, string>> {
  const { fromSecretDir, fromKubeconfig } = options;
  if ((fromSecretDir === undefined) === (fromKubeconfig === undefined))
    throw new Refusal("config", "say where the Secret is read: --from-secret-dir DIRECTORY or --from-kubeconfig FILE");
  return fromSecretDir === undefined
    ? await readFromCluster(fromKubeconfig ?? "", options)
    : await readFromFiles(fromSecretDir);
}

async function readFromFiles(directory: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of istioCaFiles) {
    const text = await readFile(join(directory, name), "utf8").catch((cause: unknown) => {
      if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
      throw new Refusal("config", `cannot read ${join(directory, name)}`, { cause });
    });
    if (text !== undefined && text.length <= fileBytesMax) found.set(name, text);
  }
  return found;
}

async function readFromCluster(path: string, { context, secret }: ImportOptions): Promise<ReadonlyMap<string, string>> {
  const [namespace, name, ...rest] = secret.split("/");
  if (namespace === undefined || name === undefined || rest.length > 0)
    throw new Refusal("config", `--secret is <namespace>/<name>, not "${secret}"`);
  const credentials = await kubeconfigCredentials(path, context === undefined ? {} : { context });
  using client = openClient({ credentials });
  const data = recordAt(await getObject(client, resources.secrets, { namespace, name }), "data");
  const found = new Map<string, string>();
  for (const file of istioCaFiles) {
    const base64 = textAt(data, file);
    if (base64 !== undefined) found.set(file, Buffer.from(base64, "base64").toString("utf8"));
  }
  return found;
}
