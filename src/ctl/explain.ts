/** `explain workload`, `explain certificaterequest`, `explain csr`: which tenant, by which rule, why not, and what would make it work. */
import { type Command, Option } from "commander";
import type { AskHub, Subject } from "../checkup/object.ts";
import type { Verdict } from "../checkup/verdict.ts";
import type { View } from "../checkup/view.ts";
import { Refusal } from "../errors.ts";
import { call } from "../rpc/client.ts";
import type { ExplainRequest__Output } from "../rpc/gen/espalier/v1/ExplainRequest.ts";
import type { Explanation__Output } from "../rpc/gen/espalier/v1/Explanation.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withSocket } from "./context.ts";
import { findDocuments } from "./documents.ts";
import { describe } from "./explanation.ts";
import { toLines } from "./findings.ts";
import { toJson } from "./output.ts";
import { isUnreachable } from "./reach.ts";
import { readWhole } from "./read.ts";

interface HubOptions {
  readonly socket: string;
  readonly documents?: string;
  readonly hub?: string;
  readonly cluster: string;
  readonly output: Output;
}

interface WorkloadOptions extends HubOptions {
  readonly proof: string;
  readonly signer: string;
  readonly identity: string;
  readonly validity: string;
}

interface ObjectOptions extends HubOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly config?: string;
  readonly namespace: string;
  readonly name: string;
}

const offline = "--documents PATH asks a directory of resources, or an issuer.yaml's, in the place of an issuer.";

export function addExplain(program: Command, context: Context): void {
  const explain = program
    .command("explain")
    .description(
      "Which tenant, by which rule, what it would get; or why not, and what would make it work. Exits with 1 where it would be refused. Changes nothing.",
    )
    .addHelpText("after", "\nExample:\n  espalier explain workload payments/checkout --cluster east");
  addWorkload(explain, context);
  addCertificateRequest(explain, context);
  addSigningRequest(explain, context);
}

function addWorkload(explain: Command, context: Context): void {
  withHub(explain.command("workload <workload>"), context)
    .description(`A workload, as <namespace>/<service account>, by Istio's protocol. ${offline}`)
    .addOption(
      new Option("--proof <kind>", "what it shows: its token, a ztunnel's word, or the certificate of a VM")
        .choices(["token", "impersonated", "certificate"])
        .default("token"),
    )
    .option("--signer <tenant>", "the CertSigner that it asks for", "")
    .option("--identity <uri>", "the SPIFFE ID that its CSR names, if not the one that it should have", "")
    .option("--validity <seconds>", "how long it asks for; 0 states nothing", "0")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier explain workload payments/checkout --cluster east\n  espalier explain workload payments/checkout --cluster east --documents resources/ --proof impersonated",
    )
    .action(async (workload: string, options: WorkloadOptions) => await explainWorkload(workload, options, context));
}

async function explainWorkload(workload: string, options: WorkloadOptions, context: Context): Promise<void> {
  const [namespace, serviceAccount] = readPlace(workload, "service account");
  const { cluster, signer, proof, identity, output } = options;
  const validitySeconds = readWhole("--validity", options.validity, 0);
  const asks = { namespace, serviceAccount, proof, identity };
  const explanation = await ask(
    { cluster, signer, validitySeconds, who: "workload", workload: asks },
    options,
    context,
  );
  context.stdout(output === "json" ? toJson({ workload, ...explanation }) : describe(explanation));
  if (!explanation.granted) throw new Refusal("not-ready", `it would be refused: ${explanation.code}`);
}

function addCertificateRequest(explain: Command, context: Context): void {
  withCluster(withHub(explain.command("certificaterequest <request>"), context))
    .description(
      `A CertificateRequest of cert-manager, as <namespace>/<name>: what the agent of its cluster makes of it, and then the hub. ${offline} Where neither is to be had, the hub is left out.`,
    )
    .addHelpText(
      "after",
      "\nExamples:\n  espalier explain certificaterequest payments/checkout-1 --kubeconfig ~/.kube/config --as ./alice\n  espalier explain certificaterequest payments/checkout-1 --kubeconfig ~/.kube/config --context east --documents resources/",
    )
    .action(async (request: string, options: ObjectOptions) => {
      const [namespace, name] = readPlace(request, "name");
      const { certificateRequest } = await import("../checkup/certificate-request.ts");
      await explainObject(`CertificateRequest ${request}`, certificateRequest(namespace, name), options, context);
    });
}

function addSigningRequest(explain: Command, context: Context): void {
  withCluster(withHub(explain.command("csr <name>"), context))
    .description(
      `A CertificateSigningRequest of Kubernetes: what the agent of its cluster makes of it, and then the hub. ${offline} Where neither is to be had, the hub is left out.`,
    )
    .addHelpText("after", "\nExample:\n  espalier explain csr checkout --kubeconfig ~/.kube/config --as ./alice")
    .action(async (name: string, options: ObjectOptions) => {
      const { signingRequest } = await import("../checkup/signing-request.ts");
      await explainObject(`CertificateSigningRequest ${name}`, signingRequest(name), options, context);
    });
}

async function explainObject(
  what: string,
  subject: Subject,
  { config: configFile, output, ...options }: ObjectOptions,
  context: Context,
): Promise<void> {
  const { openView } = await import("../checkup/view.ts");
  const { runChecks } = await import("../checkup/checks.ts");
  const { objectChecks } = await import("../checkup/object.ts");
  using view = await openView({ ...options, configFile, now: context.now });
  let explanation: Explanation__Output | undefined;
  let unasked: Refusal | undefined;
  const askHub: AskHub = async ({ csr, signer, validitySeconds, request }) => {
    try {
      const cluster = options.cluster === "" ? await clusterOf(view) : options.cluster;
      const object = { csr: Buffer.from(csr), request };
      const question = { cluster, signer, validitySeconds, who: "object", object } as const;
      explanation = await ask(question, { ...options, output }, context);
      return toVerdict(explanation);
    } catch (error) {
      // Nobody has said whom to ask, and nobody is there.
      if (isUnreachable(error) && options.socket === context.defaultSocket) return notAsked;
      if (error instanceof Refusal) unasked = error;
      throw error;
    }
  };
  const findings = await runChecks(view, objectChecks(subject, askHub));
  const rules = explanation === undefined ? "" : `\n${describe(explanation)}`;
  context.stdout(
    output === "json" ? toJson({ object: what, findings, hub: explanation ?? null }) : `${toLines(findings)}${rules}`,
  );
  if (unasked !== undefined) throw unasked;
  const failed = findings.find(({ state }) => state === "fail");
  if (failed !== undefined) throw new Refusal("not-ready", `${what}: ${failed.says}`);
}

/** As its agents are configured; the hub may have no other. */
async function clusterOf(view: Pick<View, "site">): Promise<string> {
  return await view.site().then(
    ({ config }) => config.cluster,
    (error: unknown) => {
      if (error instanceof Refusal) return "";
      throw error;
    },
  );
}

const notAsked: Verdict = {
  state: "skipped",
  says: "not asked: say who may look with --as FOLDER or --socket PATH, or give its documents with --documents PATH",
};

function toVerdict({ granted, code, message, fixes, rule, notes }: Explanation__Output): Verdict {
  if (granted) return { state: "ok", says: [`granted by rule ${rule}`, ...notes].join("; ") };
  return { state: "fail", says: `${message} (${code})`, fix: fixes.join("; ") };
}

async function ask(
  request: ExplainRequest__Output,
  { socket, documents, hub }: HubOptions,
  { now }: Context,
): Promise<Explanation__Output> {
  if (documents !== undefined) return await askDocuments(request, documents, hub, now);
  return await withAdmin(
    socket,
    async (admin) => await call<object, Explanation__Output>(admin.explain.bind(admin), request, verbDeadlineMs),
  );
}

async function askDocuments(
  request: ExplainRequest__Output,
  path: string,
  hub: string | undefined,
  now: () => Date,
): Promise<Explanation__Output> {
  const found = await findDocuments(path, hub);
  if (found.directory === undefined)
    throw new Refusal("config", `the documents of ${path} are a cluster's objects: ask the issuer itself`);
  const { loadDirectory } = await import("../resources/load.ts");
  const { answerByDocuments } = await import("../issuer/explain-documents.ts");
  const declared = await loadDirectory(found.directory, found.hub === undefined ? {} : { hub: found.hub });
  return answerByDocuments(request, declared, now);
}

function withHub(command: Command, context: Context): Command {
  return withOutput(withSocket(command, context))
    .option("--documents <path>", "a directory of resources, or an issuer.yaml")
    .option("--hub <name>", "with a directory: the hub its resources are for")
    .option("--cluster <name>", "the MeshCluster; not needed where the hub has only one", "");
}

function withCluster(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the cluster that the object is in; without it the one this runs in")
    .option("--context <name>", "of the kubeconfig, if not its current one")
    .option("--config <file>", "agent.yaml; without it that of the release's ConfigMap")
    .option("--namespace <name>", "the namespace of the agents' release", "espalier-system")
    .option("--name <name>", "the release", "espalier-agent");
}

function readPlace(text: string, second: string): readonly [string, string] {
  const [namespace = "", name = "", ...rest] = text.split("/");
  if (namespace === "" || name === "" || rest.length > 0)
    throw new Refusal("config", `name it as <namespace>/<${second}>, not "${text}"`);
  return [namespace, name];
}
