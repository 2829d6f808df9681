/** What workloads ask with, made ahead of the measurement: a key, a CSR and a token of its own for each certificate. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { workloadId } from "../../src/identity.ts";
import { toCsr } from "../../src/pki/request.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/kubernetes.ts";
import { type MeshPlan, tokenIssuer } from "./mesh.ts";

export interface Work {
  /** DER, as Istio's agents make it: subject O="", one critical URI. */
  readonly csr: Uint8Array;
  /** DER of its public key. */
  readonly spki: Uint8Array;
  readonly uri: string;
  readonly token: string;
}

/** Accounts that ask; enough that nothing is remembered by name. */
const accounts = 200;

function openTokens(tokenKeyPem: string): TokenIssuer {
  const privateKey = createPrivateKey(tokenKeyPem);
  return createTokenIssuer(tokenIssuer, { privateKey, publicKey: createPublicKey(privateKey) });
}

/** Takes its time, a millisecond or two for each; connections stay answered meanwhile. */
export function openWork({ tokenKeyPem, tenant }: MeshPlan): (count: number) => Promise<readonly Work[]> {
  const tokens = openTokens(tokenKeyPem);
  return async (count) => {
    const all: Work[] = [];
    for (let n = 0; n < count; n++) {
      if (n % 16 === 0) await setImmediate();
      const namespace = `${tenant}-${n % 7}`;
      const serviceAccount = `checkout-${n % accounts}`;
      const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const uri = workloadId({ trustDomain: `${tenant}.example`, namespace, serviceAccount });
      all.push({
        csr: toCsr({ privateKey, uri, subject: "istio" }),
        spki: publicKey.export({ format: "der", type: "spki" }),
        uri,
        token: tokens.token({ namespace, serviceAccount }),
      });
    }
    return all;
  };
}
