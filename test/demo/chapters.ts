/** What the demo tells, in order. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Refusal } from "../../src/errors.ts";
import { call, openIssuer } from "../../src/rpc/client.ts";
import type { SignBatch } from "../../src/rpc/gen/espalier/v1/SignBatch.ts";
import type { SignReplies__Output } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { type Finished, startDaemon } from "../support/processes.ts";
import { shakeHands } from "./handshake.ts";
import { runLoad } from "./load.ts";
import type { Report } from "./report.ts";
import { clusterNames, hub, type Stage } from "./stage.ts";
import { ask, directoryOf, find, obtain, spiffeId, tokenFileOf, workloads, writeToken } from "./workloads.ts";

export interface Chapter {
  readonly title: string;
  tell(stage: Stage, report: Report): Promise<void>;
}

export const chapters: readonly Chapter[] = [
  { title: "A hub: one issuer, one root, two tenants, two clusters", tell: openHub },
  { title: "An agent in each cluster; neither holds a CA key", tell: joinClusters },
  { title: "Workloads ask their own cluster's agent, by Istio's protocol", tell: obtainAll },
  { title: "One tenant, two clusters: they trust each other", tell: meet },
  { title: "What must be refused is refused", tell: refuse },
  { title: "A VM renews by its certificate, a pod may not", tell: renew },
  { title: "A tenant suspended and resumed", tell: suspend },
  { title: "kill -9 of the issuer under load", tell: kill },
  { title: "The ledger has all of it", tell: audit },
];

async function openHub(stage: Stage, report: Report): Promise<void> {
  const done = async (what: string, ...args: readonly string[]): Promise<void> =>
    said(report, what, await stage.espalier(...args));
  await done(
    "espalier init: a hub root that is in no workload's bundle, a ledger, keys with mode 0600",
    "init",
    "--hub",
    hub,
    "--dir",
    join(stage.out, "hub"),
  );
  await stage.startIssuer();
  report.say(
    `the issuer runs at ${stage.hubAddress}; it signs nothing yet: roots are made by operators, never by starting`,
  );
  await done(
    "espalier root create main: the shared root; each tenant's authority follows by itself",
    "root",
    "create",
    "main",
  );
  for (const name of clusterNames)
    await done(
      `espalier root create --serving ${name}: what that cluster's agent serves under`,
      "root",
      "create",
      "--serving",
      name,
    );
  const tenants = await stage.espalier("tenant", "list");
  report.expect("both tenants are ready", (tenants.stdout.match(/ ready/g) ?? []).length === 2, tenants.stdout);
}

async function joinClusters(stage: Stage, report: Report): Promise<void> {
  report.say("east's token keys are declared; west's are registered once, by a join token that states the key");
  const jwks = join(stage.out, "clusters", "west", "jwks.json");
  const made = await stage.espalier("cluster", "join-token", "west", "--jwks", jwks, "--reason", "demo");
  await writeFile(stage.clusters.west.joinTokenFile, made.stdout, { mode: 0o600 });
  await Promise.all(clusterNames.map(async (name) => await stage.startAgent(name)));
  const clusters = await stage.espalier("cluster", "list");
  report.expect(
    "both agents joined with their own service-account tokens and serve",
    clusters.stdout.split("\n").filter((l) => / ready/.test(l)).length === 2,
    clusters.stdout,
  );
}

async function obtainAll(stage: Stage, report: Report): Promise<void> {
  for (const workload of workloads) {
    await writeToken(stage, workload);
    const answer = await obtain(stage, workload);
    report.expect(`${workload.cluster}: ${spiffeId(workload)} (${workload.keyType})`, answer.code === 0, answer.stderr);
  }
  const directory = directoryOf(stage, find("checkout"));
  const verdict = await openssl([
    "verify",
    "-x509_strict",
    "-CAfile",
    join(directory, "root-cert.pem"),
    "-untrusted",
    join(directory, "cert-chain.pem"),
    join(directory, "cert-chain.pem"),
  ]);
  if (verdict === undefined) report.say("(openssl is not installed here, so it was not asked)");
  else report.expect("openssl verify -x509_strict agrees", verdict.code === 0, verdict.stderr);
}

async function meet(stage: Stage, report: Report): Promise<void> {
  const [checkout, settlement, cart] = ["checkout", "settlement", "cart"].map((name) => directoryOf(stage, find(name)));
  if (checkout === undefined || settlement === undefined || cart === undefined)
    throw new Error("a workload is missing");
  const there = await shakeHands(checkout, settlement);
  report.expect(
    "east's checkout calls west's settlement over mTLS",
    there.error === undefined,
    `it saw ${there.clientSaw}, and was seen as ${there.serverSaw}`,
  );
  const back = await shakeHands(settlement, checkout);
  report.expect(
    "and the other way round",
    back.error === undefined,
    `it saw ${back.clientSaw}, and was seen as ${back.serverSaw}`,
  );
  const foreign = await shakeHands(cart, settlement);
  report.expect(
    "orders' cart is turned away by payments, as another trust domain",
    foreign.error !== undefined,
    `the server saw ${foreign.serverSaw}`,
  );
  report.say(
    "(the chain itself verifies: both are under one root. Tenants that must not even shake hands take roots of their own)",
  );
}

async function refuse(stage: Stage, report: Report): Promise<void> {
  const checkout = find("checkout");
  const scratch = ["--out", join(stage.out, "refused")];
  const own = ["--token-file", tokenFileOf(stage, checkout)];
  const refused = async (what: string, code: string, attempt: Promise<Finished>): Promise<void> => {
    const { code: exit, stderr } = await attempt;
    report.expect(what, exit === 1 && stderr.includes(code), stderr);
  };
  const { east } = stage.clusters;
  await refused(
    "another tenant's CertSigner",
    "CertSigner",
    ask(stage, checkout, ...own, ...scratch, "--signer", "orders"),
  );
  await refused(
    "another trust domain in the CSR",
    "names",
    ask(stage, checkout, ...own, ...scratch, "--identity", "spiffe://orders.example/ns/payments/sa/checkout"),
  );
  await refused(
    "another workload's name in the CSR",
    "names",
    ask(stage, checkout, ...own, ...scratch, "--identity", "spiffe://payments.example/ns/payments/sa/settlement"),
  );
  await refused(
    "a token of the other cluster",
    "token",
    ask(stage, checkout, ...scratch, "--token-file", tokenFileOf(stage, find("settlement"))),
  );
  const expired = join(stage.out, "tokens", "expired");
  await writeFile(
    expired,
    east.tokens.token({
      namespace: "payments",
      serviceAccount: "checkout",
      issuedAt: new Date(Date.now() - 7_200_000),
    }),
    { mode: 0o600 },
  );
  await refused("an expired token", "expired", ask(stage, checkout, ...scratch, "--token-file", expired));
  const elsewhere = join(stage.out, "tokens", "elsewhere");
  await writeFile(elsewhere, east.tokens.token({ namespace: "default", serviceAccount: "checkout" }), { mode: 0o600 });
  await refused(
    "a namespace that no tenant claims",
    "no tenant has a rule",
    ask(stage, { ...checkout, namespace: "default" }, ...scratch, "--token-file", elsewhere),
  );
  await refuseImpostor(stage, report);
  await refuseSecondJoin(stage, report);
}

/** A workload's certificate, whatever its usages, is nobody on the hub's port. */
async function refuseImpostor(stage: Stage, report: Report): Promise<void> {
  const directory = directoryOf(stage, find("checkout"));
  const [chainPem, keyPem] = await Promise.all([
    readFile(join(directory, "cert-chain.pem"), "utf8"),
    readFile(join(directory, "key.pem"), "utf8"),
  ]);
  const rootsPem = await readFile(join(stage.out, "hub", "hub-root.pem"), "utf8");
  const client = openIssuer(stage.hubAddress, {
    rootsPem,
    serverName: `issuer.${hub}`,
    identity: { chainPem, keyPem },
  });
  const answer = await call<SignBatch, SignReplies__Output>(client.signOnce.bind(client), { items: [] }, 30_000).then(
    () => "it was let in",
    (error: unknown) => error,
  );
  client.close();
  report.expect(
    "a workload's certificate used to pose as an agent",
    answer instanceof Refusal && answer.code === "proof-missing",
    answer instanceof Refusal ? answer.message : String(answer),
  );
}

/** Another agent with the same join token, whose own token a stranger's key has signed. */
async function refuseSecondJoin(stage: Stage, report: Report): Promise<void> {
  const { west } = stage.clusters;
  const text = (await readFile(west.config, "utf8"))
    .replace("data: data", "data: data-again")
    .replace(/^(listen|http): .*$/gm, "$1: 127.0.0.1:0");
  const config = join(stage.out, "clusters", "west", "again.yaml");
  const stranger = join(stage.out, "clusters", "west", "stranger-token");
  const other = createTokenIssuer("https://kubernetes.west.example");
  await writeFile(
    stranger,
    other.token({ namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${hub}` }),
    { mode: 0o600 },
  );
  await writeFile(join(stage.out, "clusters", "west", "stranger-jwks.json"), JSON.stringify(other.jwks));
  await writeFile(
    config,
    text.replace("tokenFile: token", "tokenFile: stranger-token").replace("jwks.json", "stranger-jwks.json"),
  );
  await using again = startDaemon(["agent", "run", "--config", config]);
  const { message } = await again.event("certificate not obtained", { certificate: "agent.pem" });
  report.expect(
    "a join token used twice, to bring in another key",
    String(message).includes("join token"),
    String(message),
  );
}

async function renew(stage: Stage, report: Report): Promise<void> {
  const byCertificate = (name: string): readonly string[] => {
    const directory = directoryOf(stage, find(name));
    return [
      "--cert",
      join(directory, "cert-chain.pem"),
      "--key",
      join(directory, "key.pem"),
      "--out",
      join(stage.out, "renewed", name),
    ];
  };
  const vm = await ask(stage, find("mainframe"), ...byCertificate("mainframe"));
  report.expect(
    "the VM, whose token was bound to no pod and whose rule says so, renews without a token",
    vm.code === 0,
    vm.stderr,
  );
  const pod = await ask(stage, find("checkout"), ...byCertificate("checkout"));
  report.expect("a pod's certificate gets nothing without the pod's token", pod.code === 1, pod.stderr);
}

async function suspend(stage: Stage, report: Report): Promise<void> {
  said(
    report,
    "espalier tenant suspend orders",
    await stage.espalier("tenant", "suspend", "orders", "--reason", "demo"),
  );
  const during = await obtain(stage, find("cart"));
  report.expect(
    "orders gets nothing more, at once",
    during.code === 1 && during.stderr.includes("suspended"),
    during.stderr,
  );
  const others = await obtain(stage, find("checkout"));
  report.expect("payments goes on", others.code === 0, others.stderr);
  said(report, "espalier tenant resume orders", await stage.espalier("tenant", "resume", "orders", "--reason", "demo"));
  const after = await obtain(stage, find("cart"));
  report.expect("and then orders does too", after.code === 0, after.stderr);
}

async function kill(stage: Stage, report: Report): Promise<void> {
  const { serials, failures } = await runLoad(stage, 8, 5_000, async () => {
    await sleep(1_500);
    await stage.issuer().stop("SIGKILL");
    report.say("killed; eight workloads go on asking, and the agent holds what it can");
    await stage.startIssuer();
  });
  report.say(
    `${serials.length} certificates were handed out, ${failures.length} requests failed${failures.length === 0 ? "" : ` (${[...new Set(failures)].join(", ")})`}`,
  );
  report.expect(
    'no request failed with anything but "try again"',
    failures.every((code) => code === "unavailable" || code === "overloaded"),
  );
  report.expect("no serial was given twice", new Set(serials).size === serials.length);
  const listed = await stage.espalier("ledger", "list", "--log", "payments", "--limit", "10000", "-o", "json");
  const known = new Set(readSerials(listed.stdout));
  const missing = serials.filter((serial) => !known.has(serial));
  report.expect(
    `every one of them is in the ledger (${known.size} there)`,
    serials.length > 0 && missing.length === 0,
    missing.join(" "),
  );
  const next = await obtain(stage, find("checkout"));
  report.expect("and the next request succeeds", next.code === 0, next.stderr);
}

async function audit(stage: Stage, report: Report): Promise<void> {
  const acts = await stage.espalier("ledger", "list", "--log", "@hub", "--limit", "6");
  report.say(`the hub's log, newest first:\n${acts.stdout.replace(/^/gm, "       ").trimEnd()}`);
  await sleep(1_500);
  const verdict = await stage.espalier("ledger", "verify");
  report.expect(
    "espalier ledger verify: every hash, tree and signature recomputed from the stored bytes",
    verdict.code === 0,
    verdict.stdout + verdict.stderr,
  );
}

function said(report: Report, what: string, { code, stderr }: Finished): void {
  report.expect(what, code === 0, stderr);
}

function readSerials(json: string): readonly string[] {
  const entries: unknown = JSON.parse(json);
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: { readonly body?: { readonly serial?: string } }) =>
    entry.body?.serial === undefined ? [] : [entry.body.serial],
  );
}

/** Undefined where it is not installed. */
function openssl(args: readonly string[]): Promise<{ readonly code: number; readonly stderr: string } | undefined> {
  return new Promise((resolve) => {
    execFile("openssl", [...args], (error, _stdout, stderr) => {
      if (error !== null && error.code === "ENOENT") resolve(undefined);
      else resolve({ code: error === null ? 0 : 1, stderr });
    });
  });
}
