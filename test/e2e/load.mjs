// Runs in a pod, beside the image's own files: asks for certificates one after the other, each on a connection of its own, as pods that start
// do. What is UNAVAILABLE is asked for again, as Istio's agents do. Ends with one line of JSON.
/* oxlint-disable import/no-absolute-path -- the image's own */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { toPem } from "/app/dist/pki/pem.js";
import { toCsr } from "/app/dist/pki/request.js";
import { createCertificate } from "/app/dist/rpc/client.js";

const [agent, uri, seconds] = process.argv.slice(2);
const token = readFileSync("/var/run/secrets/tokens/istio-token", "utf8");
const tls = { rootsPem: readFileSync("/var/run/secrets/istio/root-cert.pem", "utf8"), serverName: agent.split(":")[0] };
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const csr = toPem("CERTIFICATE REQUEST", toCsr({ privateKey, uri, subject: "istio" }));
const seen = { given: 0, retried: 0, failed: [], slowestMs: 0 };

async function ask() {
  const begun = performance.now();
  for (let tries = 0; tries < 10; tries += 1) {
    try {
      await createCertificate(agent, tls, { csr, validityDuration: 0 }, { authorization: `Bearer ${token}` }, 15_000);
      seen.given += 1;
      seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - begun));
      return;
    } catch (error) {
      if (error.code !== "unavailable") return void seen.failed.push(String(error.message));
      seen.retried += 1;
      await pause(100 * 2 ** Math.min(tries, 4));
    }
  }
  seen.failed.push("unavailable ten times");
}

console.log("begun");
for (const end = Date.now() + Number(seconds) * 1000; Date.now() < end; ) {
  await ask();
  await pause(50);
}
console.log(JSON.stringify(seen));
