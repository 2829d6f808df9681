/**
 * CA certificates that others have made and that are to stand above our leaves: a root that is brought, an authority that an
 * offline root has signed, or one that another CA had before. Judged once, before anything rests on them; each refusal names
 * the rule. What may stand and may not be meant is a warning.
 */
import { X509Certificate } from "node:crypto";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { checkCa, checkIssued } from "./authority.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { verifySignature } from "./chain.ts";
import { isSame } from "./der.ts";
import { extensionId } from "./extension.ts";
import { readPublicKey } from "./key.ts";

export interface Others {
  readonly certificate: Certificate;
  readonly algorithm: KeyAlgorithm;
  readonly warnings: readonly string[];
}

/** 2.5.29.37.0, as `readUsages` gives it. */
const anyUsage = "551d2500";

/** A self-signed root in DER. @throws Refusal `malformed`, `csr-key` for its key. */
export function readRoot(der: Uint8Array, at: Date): Others {
  return judge("the root", () => {
    const others = judgeCa(readCertificate(der), at);
    const { issuer, subject, pathLength } = others.certificate;
    if (!isSame(issuer, subject) || !verifySignature(others.certificate, der))
      throw new Error(
        "it is not self-signed: give the root itself, which ends the chain, and not what another CA issued",
      );
    checkFound(der, der);
    if (pathLength === 0)
      throw new Error("its path length is 0, so that no authority could stand below it (RFC 5280 4.2.1.9)");
    return others;
  });
}

/** An authority in DER, directly under this root. @throws Refusal `malformed`, `csr-key` for its key. */
export function readAuthority(der: Uint8Array, root: Uint8Array, at: Date): Others {
  return judge("the authority", () => {
    const others = judgeCa(readCertificate(der), at);
    checkIssued(others.certificate, readCertificate(root));
    checkFound(der, root);
    if (others.certificate.pathLength === 0) return others;
    return {
      ...others,
      warnings: [...others.warnings, "its path length is not 0: whoever has its key could make further authorities"],
    };
  });
}

/** By whoever verifies by OpenSSL or BoringSSL, who go by issuer and serial number of the key identifier too, also a root's own. */
function checkFound(der: Uint8Array, above: Uint8Array): void {
  if (new X509Certificate(der).checkIssued(new X509Certificate(above))) return;
  throw new Error("its authority key identifier is not that of the CA above it, and OpenSSL would not find that one");
}

function judge(what: string, read: () => Others): Others {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.code, `${what}: ${error.message}`, { cause: error });
    throw new Refusal("malformed", `${what}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function judgeCa(certificate: Certificate, at: Date): Others {
  const { usages, extensions, keyUsage, serial } = certificate;
  const kind = readPublicKey(certificate.spki);
  if (kind === "Ed25519") throw new Refusal("csr-key", "a CA's key is RSA, P-256 or P-384, and not Ed25519");
  checkCa(certificate, at);
  if ((serial[0] ?? 0) >= 0x80 || serial.length > 20 || serial.every((octet) => octet === 0))
    throw new Error("its serial number is not positive, or longer than 20 octets (RFC 5280 4.1.2.2)");
  if (extensions.some(({ id }) => id === extensionId.nameConstraints))
    throw new Error("it has name constraints, and ztunnel's verifier refuses every URI name below them");
  // Verifiers apply them down the path.
  if (
    usages.length > 0 &&
    !usages.includes(anyUsage) &&
    !(usages.includes("serverAuth") && usages.includes("clientAuth"))
  )
    throw new Error("its extended key usage lacks serverAuth or clientAuth, which every leaf below it needs");
  const warnings = [
    ...(keyUsage.includes("cRLSign")
      ? []
      : ["its key usage lacks cRLSign: it can sign no CRL, so that none can be had under it"]),
    ...(extensions.some(({ id, critical }) => id === extensionId.keyUsage && !critical)
      ? ["its key usage is not critical (RFC 5280 4.2.1.3)"]
      : []),
  ];
  return { certificate, algorithm: kind, warnings };
}
