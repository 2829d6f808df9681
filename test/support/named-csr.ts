/** CSRs with names of their holder's choice, made by OpenSSL as people make them. */
import { csrLabels, readPem } from "../../src/pki/pem.ts";
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
