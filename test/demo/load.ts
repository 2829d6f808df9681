/** Workloads that restart all at once, through an agent, while something happens to the issuer. */
import { generateKeyPairSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Refusal } from "../../src/errors.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { readPem, toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import { createCertificate } from "../../src/rpc/client.ts";
import { type Stage, servingName } from "./stage.ts";

export interface Load {
  /** Serials of every certificate that a client holds, hex. */
  readonly serials: readonly string[];
  /** Codes of the requests that failed. */
  readonly failures: readonly string[];
}

/** `clients` ask one after the other for `milliseconds`, each time with a new token, as Istio's agents would retry. */
export async function runLoad(
  stage: Stage,
  clients: number,
  milliseconds: number,
  meanwhile: () => Promise<void>,
): Promise<Load> {
  const { tokens, agent, rootFile } = stage.clusters.east;
  const rootsPem = await readFile(rootFile, "utf8");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const serials: string[] = [];
  const failures: string[] = [];
  const end = Date.now() + milliseconds;

  const client = async (index: number): Promise<void> => {
    const serviceAccount = `restart-${index}`;
    const csr = toPem(
      "CERTIFICATE REQUEST",
      toCsr({ privateKey, uri: `spiffe://payments.example/ns/payments/sa/${serviceAccount}`, subject: "istio" }),
    );
    while (Date.now() < end) {
      const authorization = `Bearer ${tokens.token({ namespace: "payments", serviceAccount })}`;
      try {
        const { certChain } = await createCertificate(
          agent,
          { rootsPem, serverName: servingName },
          { csr },
          { authorization },
          15_000,
        );
        const { serial } = readCertificate(readPem(certChain[0] ?? "", ["CERTIFICATE"]));
        serials.push(Buffer.from(serial).toString("hex"));
      } catch (error) {
        failures.push(error instanceof Refusal ? error.code : String(error));
        await sleep(100);
      }
    }
  };
  await Promise.all([...Array.from({ length: clients }, (_, index) => client(index)), meanwhile()]);
  return { serials, failures };
}
