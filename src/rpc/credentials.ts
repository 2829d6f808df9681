/** TLS for our servers: client certificates optional, everything replaceable while running. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import grpc from "@grpc/grpc-js";

export interface ServerTls {
  /** PEM: the serving certificate, then its intermediates. */
  readonly chainPem: string;
  /** PEM, PKCS #8. */
  readonly keyPem: string;
  /** PEM roots that clients' certificates must chain to. Never empty: Node would take its public roots instead. */
  readonly clientRootsPem: string;
}

export interface ServerCredentials {
  readonly credentials: grpc.ServerCredentials;
  /** Puts new keys in force for new handshakes. @throws Error and keeps the old ones when they do not fit together. */
  publish(tls: ServerTls): void;
}

/** ztunnel offers TLS 1.3 with AES-GCM only; FIPS builds of Istio's agent TLS 1.2 with ECDHE and AES-GCM only. */
const ciphers = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_AES_128_GCM_SHA256",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES128-GCM-SHA256",
].join(":");

/** From a connection's first byte to the last of its handshake. Node's own is two minutes. */
const handshakeMsMax = 10_000;

export function openServerCredentials(minVersion: "TLSv1.2" | "TLSv1.3", first: ServerTls): ServerCredentials {
  const credentials = new Reloadable(toContext(minVersion, first));
  return { credentials, publish: (tls) => credentials.publish(toContext(minVersion, tls)) };
}

class Reloadable extends grpc.ServerCredentials {
  constructor(context: SecureContextOptions) {
    // A certificate that does not verify is as none: grpc-js shows handlers only a peer whose socket is authorized.
    super({ requestCert: true, rejectUnauthorized: false, handshakeTimeout: handshakeMsMax }, context);
  }

  publish(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }

  _equals(other: grpc.ServerCredentials): boolean {
    return this === other;
  }
}

const certificates = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Always every option: a context that replaces another inherits nothing from it, the lowest version least of all. */
function toContext(minVersion: "TLSv1.2" | "TLSv1.3", tls: ServerTls): SecureContextOptions {
  const roots = tls.clientRootsPem.match(certificates) ?? [];
  if (roots.length === 0) throw new Error("no roots to verify clients with");
  // OpenSSL passes over what it cannot read, and would then verify nobody.
  for (const root of roots) void new X509Certificate(root);
  if (!new X509Certificate(tls.chainPem).checkPrivateKey(createPrivateKey(tls.keyPem))) {
    throw new Error("the serving certificate and its key do not belong together");
  }
  const options = {
    cert: tls.chainPem,
    key: tls.keyPem,
    ca: tls.clientRootsPem,
    minVersion,
    ciphers,
    sessionTimeout: 300,
  };
  createSecureContext(options);
  return options;
}
