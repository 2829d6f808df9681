/**
 * A throw-away leaf proves an authority before it signs for anybody: key, certificate and root belong together as a client
 * will see them. It ended before it was signed, and nobody has its key; its bytes are in the ledger as every other's.
 */
import { generateKeyPairSync } from "node:crypto";
import type { Signer } from "../custody/signer.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import { encodeName } from "../pki/authority.ts";
import { readCertificate } from "../pki/certificate.ts";
import { verifyLeaf } from "../pki/chain.ts";
import { newSerialAt, toCertificate, toLeafTemplate, toTbs } from "../pki/leaf.ts";
import { lintTbs } from "../pki/lint.ts";
import { lintNamedAuthorityTbs, toNamedAuthorityTbs } from "../pki/named-authority.ts";
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
  // No workload's: theirs have a namespace and an account.
  const names = { uri: `spiffe://${trustDomain}/espalier/proof`, dns: [] };
  const content = throwAway(parts);
  const { spki, notAfter: at } = content;
  const tbs = toTbs(toLeafTemplate(record, "workload"), { ...content, names });
  lintTbs(tbs, { profile: "workload", names, spki, authority: readCertificate(record.certificate) });
  const leaf = toCertificate(record.algorithm, tbs, await signer.sign(tbs));
  verifyLeaf({ leaf, intermediates: [record.certificate], roots: [root], at, key: spki, names });
}

/** The same of one that signs no leaves: its proof is a CA certificate. @throws as `proveAuthority`. */
export async function proveDelegating({ record, root, trustDomain, signer }: Proof, parts: ProofParts): Promise<void> {
  const named = { subject: encodeName("Espalier proof"), scope: { trustDomain, dnsNames: [] } };
  const content = throwAway(parts);
  const { spki, notAfter: at } = content;
  const tbs = toNamedAuthorityTbs(toLeafTemplate(record, "workload"), { ...content, ...named });
  lintNamedAuthorityTbs(tbs, { ...named, spki, authority: readCertificate(record.certificate) });
  const leaf = toCertificate(record.algorithm, tbs, await signer.sign(tbs));
  verifyLeaf({ leaf, intermediates: [record.certificate], roots: [root], at, key: spki, authority: true });
}

/** It has ended by now. */
function throwAway({ now, random }: ProofParts) {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const end = Math.floor(+now() / 1000) * 1000;
  const notBefore = new Date(end - backdateSeconds * 1000);
  return {
    serial: newSerialAt(random, notBefore),
    notBefore,
    notAfter: new Date(end - 1000),
    spki: publicKey.export({ type: "spki", format: "der" }),
  };
}
