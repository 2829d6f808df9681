/**
 * The floor: what a certificate costs where nothing is done but its three unavoidable signatures' work. One RS256 verify, one
 * P-256 verify and one P-256 sign by node:crypto, of bytes as long as the real ones, with keys that are loaded already.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";

const tokenBytes = 900;
const infoBytes = 230;
const tbsBytes = 480;

/** Returns a function that measures once and gives microseconds of CPU for one certificate. */
export function openFloor(): (iterations: number) => number {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const [token, info, tbs] = [randomBytes(tokenBytes), randomBytes(infoBytes), randomBytes(tbsBytes)];
  const tokenSignature = sign("sha256", token, rsa.privateKey);
  const infoSignature = sign("sha256", info, ec.privateKey);
  const tokenKey = createPublicKey(rsa.privateKey);
  const csrKey = createPublicKey(ec.privateKey);
  return (iterations) => {
    const used = process.cpuUsage();
    for (let n = 0; n < iterations; n++) {
      if (!verify("sha256", token, tokenKey, tokenSignature)) throw new Error("RS256");
      if (!verify("sha256", info, csrKey, infoSignature)) throw new Error("P-256");
      sign("sha256", tbs, ec.privateKey);
    }
    const { user, system } = process.cpuUsage(used);
    return (user + system) / iterations;
  };
}
