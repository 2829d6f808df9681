/**
 * The floor: what a certificate costs where nothing is done but its three unavoidable operations, by node:crypto and on bytes
 * as long as the real ones: one RS256 verify, one P-256 verify, one P-256 sign.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, verify } from "node:crypto";

const tokenBytes = 900;
const infoBytes = 230;
const tbsBytes = 480;
/** CSRs with a key each. */
const csrs = 64;

/** Microseconds of CPU for one certificate. */
export interface Floor {
  /** All keys are loaded: the three operations and nothing else. */
  readonly loaded: number;
  /** The CSR's key is given to the verification as the CSR has it, since nobody has seen it before. */
  readonly read: number;
}

/** Returns a function that measures both once. */
export function openFloor(): (iterations: number) => Floor {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const token = randomBytes(tokenBytes);
  const tokenSignature = sign("sha256", token, privateKey);
  const tokenKey = createPublicKey(privateKey);
  const authority = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const tbs = randomBytes(tbsBytes);
  const asked = Array.from({ length: csrs }, () => {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const info = randomBytes(infoBytes);
    const der = { key: pair.publicKey.export({ format: "der", type: "spki" }), format: "der", type: "spki" } as const;
    return { info, signature: sign("sha256", info, pair.privateKey), key: pair.publicKey, der };
  });
  type Csr = (typeof asked)[number];

  const measure = (iterations: number, keyOf: (csr: Csr) => KeyObject | Csr["der"]): number => {
    const used = process.cpuUsage();
    for (let n = 0; n < iterations; n += csrs) {
      for (const csr of asked) {
        if (!verify("sha256", token, tokenKey, tokenSignature)) throw new Error("RS256");
        if (!verify("sha256", csr.info, keyOf(csr), csr.signature)) throw new Error("P-256");
        sign("sha256", tbs, authority);
      }
    }
    const { user, system } = process.cpuUsage(used);
    return (user + system) / (Math.ceil(iterations / csrs) * csrs);
  };
  return (iterations) => ({
    loaded: measure(iterations, ({ key }) => key),
    read: measure(iterations, ({ der }) => der),
  });
}
