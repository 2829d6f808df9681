/**
 * One rotation in real time, with Istio's own pilot-agents as its workloads: `npm run soak:rotation [-- SECONDS]`, half an hour with the
 * ten-minute certificates it has by default. Every five seconds all of them shake hands with one another, in both directions, by what
 * pilot-agent has written. Needs Go; builds pilot-agent where it is not kept yet.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Rotation__Output } from "../../src/rpc/gen/espalier/v1/Rotation.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { espalier } from "../ctl/stage.ts";
import { checkout, clusterDocument, document, podToken } from "../support/documents.ts";
import { freePort } from "../support/processes.ts";
import { startStack } from "../support/stack.ts";
import { type Speaker, startShaking } from "./shaking.ts";

const seconds = Number(process.argv[2] ?? "600");
const settleSeconds = 60;
const workloads = 4;
const shakeMs = 5_000;
/** Twice the certificates' life, their settling, and the ten minutes of the tenant's next authority; and room. */
const deadlineMs = (2 * (seconds + settleSeconds) + 600 + 600) * 1000;

using directory = temporaryDirectory();
await using shaking = startShaking(directory.path);
const pilotAgent = join(
  execFileSync(join(import.meta.dirname, "../peers/build"), ["pilot-agent"], { encoding: "utf8" }).trim(),
  "pilot-agent",
);
const validity = { defaultSeconds: seconds, minimumSeconds: seconds, maximumSeconds: seconds };
const rules = [{ name: "pods", clusters: ["east"], namespaces: ["pay-*"] }];
await using stack = await startStack({
  documents: [
    document("TrustRoot", "main", {}),
    document("MeshTenant", "payments", {
      trustDomain: "payments.example",
      root: "main",
      rules,
      profiles: { workload: validity },
    }),
    clusterDocument("east"),
  ],
  renewalMs: 5_000,
  config: { rotation: { settleSeconds } },
});
const port = (await stack.agent("east").address()).split(":").at(-1) ?? "";

/** Without Envoy: it gets certificates, renews them at half of their life, and writes them down. */
async function startPilotAgent(name: string): Promise<{ readonly certs: string; readonly process: ChildProcess }> {
  const home = join(directory.path, name);
  const certs = join(home, "certs");
  for (const folder of ["certs", "var/run/secrets/tokens", "var/run/secrets/istio"])
    mkdirSync(join(home, folder), { recursive: true });
  writeFileSync(join(home, "var/run/secrets/tokens/istio-token"), podToken("east", { expiresInSeconds: 7200 }));
  const served = join(stack.agent("east").directory, "data/root-cert.pem");
  copyFileSync(served, join(home, "var/run/secrets/istio/root-cert.pem"));
  const output = openSync(join(home, "log"), "w");
  const process = spawn(pilotAgent, ["proxy"], {
    cwd: home,
    stdio: ["ignore", output, output],
    env: {
      DISABLE_ENVOY: "true",
      CA_ADDR: `localhost:${port}`,
      OUTPUT_CERTS: certs,
      GRPC_XDS_BOOTSTRAP: "",
      PROXY_CONFIG: `{"statusPort":${await freePort()}}`,
      TRUST_DOMAIN: "payments.example",
      POD_NAMESPACE: checkout.namespace,
      POD_NAME: name,
      SERVICE_ACCOUNT: checkout.serviceAccount,
      ISTIO_META_CLUSTER_ID: "east",
      ECC_SIGNATURE_ALGORITHM: "ECDSA",
      SECRET_TTL: `${seconds}s`,
    },
  });
  return { certs, process };
}

/** What it has now; undefined while it is being written: three files, one after the other. */
async function readSpeaker(name: string, certs: string): Promise<Speaker | undefined> {
  const files = ["cert-chain.pem", "key.pem", "root-cert.pem"];
  const read = (): readonly string[] => files.map((file) => readFileSync(join(certs, file), "utf8"));
  try {
    const [chain = "", key = "", roots = ""] = read();
    await delay(100);
    const same = read().join() === [chain, key, roots].join();
    return same && new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))
      ? { name, chain, key, roots }
      : undefined;
  } catch {
    return undefined;
  }
}

async function show(): Promise<Rotation__Output> {
  const { code, stdout, stderr } = await espalier(
    ["root", "status", "main", "-o", "json"],
    stack.site.config.adminSocket,
  );
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout)[0];
}

const begun = performance.now();
const elapsed = (): number => Math.round((performance.now() - begun) / 1000);
const agents = await Promise.all(
  Array.from({ length: workloads }, async (_, i) => ({ name: `w${i}`, ...(await startPilotAgent(`w${i}`)) })),
);
let handshakes = 0;
const failures: string[] = [];
const chains = new Set<string>();
let said = "";
try {
  // Not all at one age: else all of them would have renewed at each step.
  for (let rotated = false; performance.now() - begun < deadlineMs; await delay(shakeMs)) {
    const read = await Promise.all(agents.map(async ({ name, certs }) => await readSpeaker(name, certs)));
    const speakers = read.flatMap((speaker) => speaker ?? []);
    const pairs = speakers.flatMap((_, i) => speakers.flatMap((_, k) => (i === k ? [] : [[i, k] as const])));
    const shaken = await shaking.shake(new Date(), speakers, pairs);
    handshakes += shaken.handshakes;
    failures.push(...shaken.failures.map((failure) => `${elapsed()} s ${failure}`));
    for (const { chain } of speakers) chains.add(chain);
    if (!rotated && speakers.length === workloads) {
      const { code, stderr } = await espalier(["root", "rotate", "main"], stack.site.config.adminSocket);
      assert.equal(code, 0, stderr);
      rotated = true;
    }
    const { phase, certificates, waitingFor } = await show();
    const line = `${phase}, ${certificates} certificates, waits for ${[...new Set(waitingFor.map(({ kind }) => kind))].join(" ") || "nothing"}`;
    if (line !== said) console.log(`soak: ${elapsed()} s  ${line}`);
    said = line;
    if (rotated && phase === "none") break;
  }
  const { phase } = await show();
  const figures = { seconds: elapsed(), leafSeconds: seconds, workloads, certificates: chains.size, handshakes };
  console.log(JSON.stringify({ ...figures, failed: failures.length, phase }));
  for (const failure of failures.slice(0, 20)) console.error(failure);
  process.exitCode = failures.length === 0 && phase === "none" ? 0 : 1;
} finally {
  for (const { process } of agents) process.kill("SIGKILL");
}
