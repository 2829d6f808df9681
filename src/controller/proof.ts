/**
 * A throw-away leaf proves an authority before it signs for anybody: key, certificate and root belong together as a client
 * will see them. It ended before it was signed, and nobody has its key; its bytes are in the ledger as every other's.
 */
import { generateKeyPairSync } from "node:crypto";
import type { Signer } from "../custody/signer.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import { readCertificate } from "../pki/certificate.ts";
import { verifyLeaf } from "../pki/chain.ts";
import { newSerialAt, toCertificate, toLeafTemplate, toTbs } from "../pki/leaf.ts";
import { lintTbs } from "../pki/lint.ts";
import { backdateSeconds } from "../pki/profile.ts";

export interface Proof {
  readonly record: AuthorityRecord;
  /** DER. */
  readonly root: Uint8Array;
  readonly trustDomain: string;
  /** The authority's own key. */
  readonly signer: Signer;
}

export interface ProofParts {
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** @throws Error with the reason, and what the signer throws. */
export async function proveAuthority({ record, root, trustDomain, signer }: Proof, parts: ProofParts): Promise<void> {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  // No workload's: theirs have a namespace and an account.
  const names = { uri: `spiffe://${trustDomain}/espalier/proof`, dns: [] };
  const end = Math.floor(+parts.now() / 1000) * 1000;
  const notBefore = new Date(end - backdateSeconds * 1000);
  const notAfter = new Date(end - 1000);
  const template = toLeafTemplate(record, "workload");
  const tbs = toTbs(template, { serial: newSerialAt(parts.random, notBefore), notBefore, notAfter, spki, names });
  lintTbs(tbs, { profile: "workload", names, spki, authority: readCertificate(record.certificate) });
  const leaf = toCertificate(record.algorithm, tbs, await signer.sign(tbs));
  verifyLeaf({ leaf, intermediates: [record.certificate], roots: [root], at: notAfter, key: spki, names });
}
