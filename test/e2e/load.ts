/**
 * Runs in a pod, as one file: asks for certificates one after the other, each on a connection of its own, as pods that start do. What
 * is UNAVAILABLE is asked for again, as Istio's agents do. Ends with one line of JSON, which is a `Seen`.
 */
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { toRefusal } from "../../src/errors.ts";
import { toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { createCertificate } from "../../src/rpc/client.ts";

export interface Seen {
  given: number;
  retried: number;
  readonly failed: string[];
  slowestMs: number;
}

const [agent = "", uri = "", seconds] = process.argv.slice(2);
const token = readFileSync("/var/run/secrets/tokens/istio-token", "utf8");
const [serverName = ""] = agent.split(":");
const tls = { rootsPem: readFileSync("/var/run/secrets/istio/root-cert.pem", "utf8"), serverName };
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const csr = toPem("CERTIFICATE REQUEST", toCsr({ privateKey, uri, subject: "istio" }));
const seen: Seen = { given: 0, retried: 0, failed: [], slowestMs: 0 };

async function ask(): Promise<void> {
  const begun = performance.now();
  for (let tries = 0; tries < 10; tries += 1) {
    try {
      await createCertificate(agent, tls, { csr, validityDuration: 0 }, { authorization: `Bearer ${token}` }, 15_000);
      seen.given += 1;
      seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - begun));
      return;
    } catch (error) {
      const { code, message } = toRefusal(error);
      if (code !== "unavailable") return void seen.failed.push(message);
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
