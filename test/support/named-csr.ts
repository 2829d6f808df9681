/** CSRs with names of their holder's choice, made by OpenSSL as people make them; and one as istio-csr makes it, which OpenSSL would not. */
import { generateKeyPairSync, sign } from "node:crypto";
import { signatureAlgorithms } from "../../src/pki/algorithm.ts";
import { extensionRequest, istioSubject } from "../../src/pki/csr.ts";
import { tag } from "../../src/pki/der.ts";
import { fromHex, toBitString, toElement, toOctetString, toSequence } from "../../src/pki/encode.ts";
import { toGeneralNames } from "../../src/pki/general-name.ts";
import { csrLabels, readPem, toPem } from "../../src/pki/pem.ts";
import { openssl } from "./pki-openssl.ts";

export interface NamedCsrRequest {
  /** As `-subj` takes it. Default none. */
  readonly subject?: string;
  /** As `-addext` takes each. */
  readonly extensions?: readonly string[];
  readonly key?: "P-256" | "RSA-2048" | "Ed25519";
}

const newKeys = {
  "P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
  "RSA-2048": ["rsa:2048"],
  Ed25519: ["ed25519"],
} as const;

/** DER. */
export function namedCsr({ subject = "/", extensions = [], key = "P-256" }: NamedCsrRequest = {}): Uint8Array {
  const args = ["req", "-new", "-utf8", "-newkey", ...newKeys[key], "-nodes", "-keyout", "{key}", "-subj", subject];
  const added = extensions.flatMap((extension) => ["-addext", extension]);
  const config = "[req]\ndistinguished_name = name\n[name]\n";
  return readPem(openssl([...args, ...added, "-config", "{config}"], { config, key: "" }), csrLabels);
}

/** With these names, as `subjectAltName` takes them: `DNS:shop.example,IP:10.0.0.1`. */
export function csrOf(names: string, more: NamedCsrRequest = {}): Uint8Array {
  const critical = more.subject === undefined ? "critical," : "";
  return namedCsr({ ...more, extensions: [`subjectAltName=${critical}${names}`, ...(more.extensions ?? [])] });
}

/** As the field `spec.request` of an object has them: base64 of PEM. */
export function toRequest(...csrs: readonly Uint8Array[]): string {
  return Buffer.from(csrs.map((csr) => toPem("CERTIFICATE REQUEST", csr)).join("")).toString("base64");
}

/** For what istio-csr serves with: O="", one critical DNS name, RSA (istio security/pkg/pki/util/generate_csr.go). */
export function istioServingCsr(dns: string): Uint8Array {
  return dnsCsr(dns);
}

/** The same, and so many bytes longer by an extension that means nothing to anybody (1.2.3). */
export function longCsr(dns: string, bytes: number): Uint8Array {
  return dnsCsr(dns, toSequence(fromHex("06022a03"), toOctetString(new Uint8Array(bytes))));
}

function dnsCsr(dns: string, ...more: readonly Uint8Array[]): Uint8Array {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const names = toOctetString(toGeneralNames([{ kind: "dns", value: dns }]));
  const extension = toSequence(fromHex("0603551d11"), fromHex("0101ff"), names);
  const attribute = toSequence(extensionRequest, toElement(tag.set, toSequence(extension, ...more)));
  const spki = publicKey.export({ format: "der", type: "spki" });
  const info = toSequence(fromHex("020100"), istioSubject, spki, toElement(tag.context0, attribute));
  const { der, hash } = signatureAlgorithms.sha256WithRSA;
  return toSequence(info, der, toBitString(sign(hash, info, privateKey)));
}
