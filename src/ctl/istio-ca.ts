/**
 * The CA that a mesh has had until now, as Istio keeps it in a Secret: `istio-ca-secret` (self-signed by istiod), `cacerts` in
 * Istio's own form (ca-cert.pem, ca-key.pem, cert-chain.pem, root-cert.pem) or in that of a TLS Secret (tls.crt, tls.key, ca.crt).
 */
import { Refusal } from "../errors.ts";
import { readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import { readCertificates, readKey, toPkcs8 } from "./key-file.ts";

/** Certificates in DER, the key in PKCS #8. */
export type IstioCa =
  /** The CA is its own root. */
  | { readonly kind: "root"; readonly certificate: Uint8Array; readonly key: Uint8Array }
  /** The CA stands under a root whose key is somewhere else. */
  | {
      readonly kind: "authority";
      readonly root: Uint8Array;
      readonly certificate: Uint8Array;
      readonly key: Uint8Array;
    };

interface Names {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
  readonly chain?: string;
}

const istioNames: Names = {
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  roots: "root-cert.pem",
  chain: "cert-chain.pem",
};
const tlsNames: Names = { certificate: "tls.crt", key: "tls.key", roots: "ca.crt" };

/** What may be read of a Secret or a directory. */
export const istioCaFiles: readonly string[] = [...Object.values(istioNames), ...Object.values(tlsNames)];

/** From the files by their names; one that is empty counts as missing. @throws Refusal `config` naming the file. */
export function readIstioCa(files: ReadonlyMap<string, string>): IstioCa {
  const textOf = (name: string | undefined): string => (name === undefined ? "" : (files.get(name) ?? ""));
  // As istiod decides which form it is.
  const names = textOf(tlsNames.certificate) === "" ? istioNames : tlsNames;
  const all = (name: string | undefined): readonly Uint8Array[] =>
    textOf(name) === "" ? [] : readCertificates(textOf(name), name ?? "");
  for (const name of [names.certificate, names.key])
    if (textOf(name) === "") throw new Refusal("config", `there is no ${name}: it is no Secret of a CA of Istio's`);
  const [certificate, ...above] = all(names.certificate);
  if (certificate === undefined) throw new Refusal("config", `${names.certificate} holds no certificate`);
  const key = toPkcs8(readKey(textOf(names.key), names.key));
  const roots = all(names.roots);
  if (isSelfSigned(certificate)) {
    checkOneRoot([certificate, ...roots], names);
    return { kind: "root", certificate, key };
  }
  const [root] = roots;
  if (root === undefined) throw new Refusal("config", `there is no ${names.roots}, and the CA is not its own root`);
  checkOneRoot(roots, names);
  const between = [...above, ...all(names.chain)].filter((one) => !isSame(one, certificate) && !isSame(one, root));
  if (between.length > 0) {
    throw new Refusal(
      "config",
      "the CA stands below another intermediate: an authority of Espalier stands directly under its root. Take an authority from that root instead (source offline)",
    );
  }
  return { kind: "authority", root, certificate, key };
}

function isSelfSigned(der: Uint8Array): boolean {
  const { issuer, subject } = readCertificate(der);
  return isSame(issuer, subject);
}

/** Trust in a second root would end here without anybody having looked who still needs it. */
function checkOneRoot([first, ...rest]: readonly Uint8Array[], { roots }: Names): void {
  if (first === undefined || rest.every((one) => isSame(one, first))) return;
  throw new Refusal(
    "config",
    `${roots} holds another root beside the CA's own: finish that rotation in Istio first, until one root is left`,
  );
}
