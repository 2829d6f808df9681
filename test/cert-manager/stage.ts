/**
 * cert-manager's own controllers and webhook beside a real API server, each with the rights that its chart gives it, and an agent of
 * ours, with the rights that ours gives it, as a process of its own. Three tenants, of which `shop` has two namespaces.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Client } from "../../src/kube/client.ts";
import { recordAt } from "../../src/kube/json.ts";
import { mergeObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { type Program, startProgram } from "../mesh/program.ts";
import { document } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type AgentProcess, type Kubernetes, type KubeSite, openKubeSite } from "../support/kube-site.ts";
import { eventually } from "../support/patience.ts";
import { freePort } from "../support/processes.ts";
import { istioCsr, istioCsrService } from "./istio-csr.ts";

export interface CertManagerStage extends AsyncDisposable {
  readonly site: KubeSite;
  readonly names: Names;
  /** An agent as the chart configures it; the rights are those of its account. */
  startAgent(name: string, more?: Kubernetes): Promise<AgentProcess>;
  /** Ours: TenantIssuer and TenantClusterIssuer. */
  applyDefinitions(): void;
  readonly controller: Program;
  /** cert-manager's, away and back. */
  readonly webhook: { start(): Promise<void>; stop(): Promise<void> };
  /** Approves, with the rights of its chart, in the place of cert-manager's own approver, whose right it has back in the end. */
  startApproverPolicy(): Promise<AsyncDisposable>;
  kubectl(args: readonly string[], input?: string): string;
}

export interface Names {
  /** Of tenant `shop`. */
  readonly shop: string;
  readonly till: string;
  /** Of tenant `media`. */
  readonly media: string;
  /** Of tenant `alone`, which has a root of its own. */
  readonly alone: string;
  /** Of nobody. */
  readonly nobody: string;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const namespace = "cert-manager";
/** And something for a busy machine. */
const webhookRemembersMs = 3_000;
/** Its account, and all that its chart makes. */
const approverPolicy = "cert-manager-approver-policy";

export async function openStage(): Promise<CertManagerStage> {
  const kubeconfig = setByRun("KUBECONFIG");
  const binary = setByRun("ESPALIER_CERT_MANAGER");
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await openKubeSite(kubeconfig, tenants, requesters));
  const names = {
    shop: await site.namespace("shop"),
    till: await site.namespace("till"),
    media: await site.namespace("media"),
    alone: await site.namespace("alone"),
    nobody: await site.namespace("nobody"),
  };
  const { directory } = site.site;
  const kubectl = (args: readonly string[], input?: string): string =>
    execFileSync("kubectl", ["--kubeconfig", kubeconfig, ...args], {
      encoding: "utf8",
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      maxBuffer: 64 * 1024 * 1024,
      ...(input === undefined ? {} : { input }),
    });
  const apply = (yaml: string): void => void kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], yaml);

  const port = await freePort();
  kubectl(["create", "namespace", namespace]);
  apply(certManagerManifests(setByRun("ESPALIER_CERT_MANAGER_SOURCE"), join(directory, "chart"), port));
  apply(agentManifests(site));
  for (const kind of ["certificates", "certificaterequests"])
    kubectl(["wait", "--for=condition=Established", `crd/${kind}.cert-manager.io`, "--timeout=60s"]);
  const programs = stack.use(new AsyncDisposableStack());
  const start = async (name: string, account: string, { file, args }: Started): Promise<Program> => {
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    const config = writeKubeconfig(folder, await site.cluster.accessOf(namespace, account));
    const all = [...args, "--kubeconfig", config];
    return programs.use(startProgram({ name, file, args: all, directory: folder, env: {} }));
  };
  const serving = makeServing(directory);
  const { certificate, key } = serving;
  const listening = ["webhook", `--port=${port}`, `--certificate=${certificate}`, `--key=${key}`];
  const startWebhook = async (): Promise<Program> => {
    const program = await start("webhook", "cert-manager-webhook", { file: binary, args: listening });
    await program.await(async () => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    });
    return program;
  };
  let webhook = await startWebhook();
  const caBundle = readFileSync(serving.ca).toString("base64");
  for (const resource of [resources.validatingWebhooks, resources.mutatingWebhooks]) {
    const { webhooks }: { webhooks: { clientConfig: object }[] } = JSON.parse(
      kubectl(["get", resource.plural, "cert-manager-webhook", "-o", "json"]),
    );
    const trusted = webhooks.map((one) => ({ ...one, clientConfig: { ...one.clientConfig, caBundle } }));
    await mergeObject(site.cluster.client, resource, { name: "cert-manager-webhook" }, { webhooks: trusted });
  }
  const controller = await start("controller", "cert-manager", { file: binary, args: ["controller"] });
  const definitions = ["tenantissuers", "tenantclusterissuers"].map((plural) =>
    readFileSync(join(root, `charts/espalier-agent-crds/templates/${plural}.yaml`), "utf8"),
  );
  const opened = stack.move();
  return {
    site,
    names,
    controller,
    webhook: {
      start: async () => {
        webhook = await startWebhook();
      },
      stop: async () => await webhook[Symbol.asyncDispose](),
    },
    startApproverPolicy: async () => {
      apply(approverPolicyManifests(setByRun("ESPALIER_APPROVER_POLICY_SOURCE")));
      // It judges policies, and is behind a Service that nothing here is behind.
      kubectl(["delete", "validatingwebhookconfiguration", approverPolicy]);
      kubectl([
        "wait",
        "--for=condition=Established",
        "crd/certificaterequestpolicies.policy.cert-manager.io",
        "--timeout=60s",
      ]);
      apply(agentManifests(site, approverPolicy));
      // The API server's authorizer has it a moment later, and cert-manager's webhook remembers for a second what that has said.
      await eventually(async () => assert.equal(await mayApprove(site.cluster.client), false));
      await delay(webhookRemembersMs);
      const args = ["--leader-election-namespace", namespace, "--webhook-ca-secret-namespace", namespace];
      const ports = ["--metrics-bind-address=0", "--readiness-probe-bind-address=0", "--webhook-host=127.0.0.1"];
      const program = await start("approver-policy", approverPolicy, {
        file: setByRun("ESPALIER_APPROVER_POLICY"),
        args: [...args, ...ports, `--webhook-port=${await freePort()}`],
      });
      return {
        [Symbol.asyncDispose]: async () => {
          await program[Symbol.asyncDispose]();
          apply(agentManifests(site));
        },
      };
    },
    kubectl,
    applyDefinitions: () => {
      apply(definitions.join("\n---\n"));
      for (const plural of ["tenantissuers", "tenantclusterissuers"])
        kubectl(["wait", "--for=condition=Established", `crd/${plural}.espalier.dev`, "--timeout=60s"]);
    },
    startAgent: async (name, more = {}) => {
      const folder = join(directory, `${name}-access`);
      mkdirSync(folder);
      const config = writeKubeconfig(folder, await site.cluster.accessOf(site.system, "espalier-agent"));
      return await site.startProcess(name, { node: [main] }, { kubeconfig: config, certManager: true, ...more });
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

/** Its CertificateRequests are in istiod's namespace, as its chart has it. */
function requesters(named: (name: string) => string) {
  return { requesters: [{ account: istioCsr, namespace: named("istio") }] };
}

interface Started {
  readonly file: string;
  readonly args: readonly string[];
}

function setByRun(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set: test/cert-manager/run sets it`);
  return value;
}

function tenants(named: (name: string) => string) {
  const rule = (...namespaces: readonly string[]) => ({
    name: "all",
    clusters: ["east"],
    namespaces: namespaces.map(named),
    proofs: ["token", "request", `requester:${istioCsr}`],
  });
  return [
    document("MeshTenant", "shop", {
      trustDomain: "shop.example",
      root: "main",
      rules: [rule("shop", "till"), { ...rule("istio"), name: "istio", proofs: ["request"] }],
      requests: {
        dnsNames: ["shop.example", "*.shop.example", "*.{namespace}.svc", istioCsrService],
        ips: ["10.0.0.0/8", "127.0.0.1"],
        emails: ["*@shop.example"],
        uris: ["https://shop.example/*"],
        identities: true,
        subject: { commonNames: ["till-*"], organizations: ["Shop"], countries: ["DE"] },
        usages: [
          "signing",
          "digital signature",
          "key encipherment",
          "data encipherment",
          "server auth",
          "client auth",
          "code signing",
        ],
        maximumSeconds: 7_776_000,
      },
    }),
    document("MeshTenant", "media", {
      trustDomain: "media.example",
      root: "main",
      rules: [rule("media")],
      requests: { dnsNames: ["media.example"] },
    }),
    document("TrustRoot", "alone", {}),
    document("MeshTenant", "alone", {
      trustDomain: "alone.example",
      root: "alone",
      rules: [rule("alone")],
      requests: {
        dnsNames: ["alone.example"],
        subject: { commonNames: ["alone-*"] },
        authorities: { namespaces: [named("alone")], dnsNames: ["alone.example"] },
      },
    }),
  ];
}

/** The chart as it is in the module, its webhook at a port of this machine; its Deployments make no pods where nothing schedules. */
function certManagerManifests(source: string, folder: string, port: number): string {
  cpSync(join(source, "deploy/charts/cert-manager"), folder, { recursive: true });
  execFileSync("chmod", ["-R", "u+w", folder]);
  const values = ["crds.enabled=true", "startupapicheck.enabled=false", `webhook.url.host=localhost:${port}`];
  return helm([
    "template",
    "cert-manager",
    folder,
    "--namespace",
    namespace,
    ...values.flatMap((one) => ["--set", one]),
  ]);
}

function approverPolicyManifests(source: string): string {
  return helm(["template", approverPolicy, join(source, "deploy/charts/approver-policy"), "--namespace", namespace]);
}

/** Whether cert-manager's own approver may approve for our issuers, as its webhook asks. */
async function mayApprove(client: Client): Promise<boolean> {
  const name = "tenantclusterissuers.espalier.dev/*";
  const resourceAttributes = { group: "cert-manager.io", resource: "signers", verb: "approve", name };
  const spec = { user: `system:serviceaccount:${namespace}:cert-manager`, resourceAttributes };
  const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec };
  return recordAt(await client.call({ verb: "POST", path, body }), "status")["allowed"] === true;
}

/** What our chart gives the agent, and whoever approves. */
function agentManifests({ system, istio, rootConfigMap }: KubeSite, approver = "cert-manager"): string {
  const values = [
    "hub=hub.example",
    "cluster=east",
    "issuers={issuer:15443}",
    "hubRoot=-----BEGIN CERTIFICATE-----",
    "kubernetes.certManager=true",
    `approver.serviceAccount=${approver}`,
    `kubernetes.istiodNamespace=${istio}`,
    `kubernetes.rootConfigMap=${rootConfigMap}`,
  ];
  const templates = ["-s", "templates/rbac.yaml", "-s", "templates/approver.yaml"];
  const chart = join(root, "charts/espalier-agent");
  return helm([
    "template",
    "espalier-agent",
    chart,
    "--namespace",
    system,
    ...templates,
    ...values.flatMap((one) => ["--set", one]),
  ]);
}

export function helm(args: readonly string[]): string {
  return execFileSync("helm", args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

/** A CA of the webhook's own, and its certificate for this machine. */
function makeServing(directory: string): { readonly ca: string; readonly certificate: string; readonly key: string } {
  const folder = join(directory, "serving");
  mkdirSync(folder);
  const path = (name: string): string => join(folder, name);
  const config = path("openssl.cnf");
  writeFileSync(config, "[req]\ndistinguished_name = name\n[name]\n");
  const openssl = (args: readonly string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-config", config];
  openssl([
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.crt"),
    "-subj",
    "/CN=webhook",
    "-addext",
    "basicConstraints=critical,CA:TRUE",
  ]);
  const under = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-addext", "subjectAltName=DNS:localhost"];
  openssl([
    "req",
    "-x509",
    ...newKey,
    ...under,
    "-keyout",
    path("tls.key"),
    "-out",
    path("tls.crt"),
    "-subj",
    "/CN=localhost",
  ]);
  return { ca: path("ca.crt"), certificate: path("tls.crt"), key: path("tls.key") };
}
