/** A cluster's token issuer, as kube-apiserver is one: a key, its JWKS, and tokens with exactly its claims. */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from "node:crypto";

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly audience?: string;
  /** Bound to no pod when false, as a VM's is. */
  readonly pod?: boolean;
  readonly issuedAt?: Date;
  readonly expiresInSeconds?: number;
  /** Claims put over the usual ones; undefined takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Header members put over the usual ones. */
  readonly header?: Readonly<Record<string, unknown>>;
}

export interface TokenIssuer {
  readonly issuer: string;
  readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  readonly privateKey: KeyObject;
  token(request: TokenRequest): string;
}

export function createTokenIssuer(
  issuer: string,
  pair: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync("rsa", { modulusLength: 2048 }),
): TokenIssuer {
  const jwk = pair.publicKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(JSON.stringify(jwk)).digest("base64url");
  const isEc = pair.publicKey.asymmetricKeyType === "ec";
  const alg = isEc ? "ES256" : "RS256";
  return {
    issuer,
    jwks: { keys: [{ ...jwk, kid, use: "sig", alg }] },
    privateKey: pair.privateKey,
    token: ({
      namespace,
      serviceAccount,
      audience = "istio-ca",
      pod = true,
      issuedAt = new Date(),
      expiresInSeconds = 3600,
      claims = {},
      header = {},
    }) => {
      const at = Math.floor(issuedAt.getTime() / 1000);
      const body = {
        aud: [audience],
        exp: at + expiresInSeconds,
        iat: at,
        iss: issuer,
        jti: randomUUID(),
        "kubernetes.io": {
          namespace,
          ...(pod
            ? {
                node: { name: "node1", uid: randomUUID() },
                pod: { name: `${serviceAccount}-7d9f8`, uid: randomUUID() },
              }
            : {}),
          serviceaccount: { name: serviceAccount, uid: randomUUID() },
        },
        nbf: at,
        sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
        ...claims,
      };
      const signed = `${encode({ alg, kid, ...header })}.${encode(body)}`;
      const signature = sign("sha256", Buffer.from(signed), { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
      return `${signed}.${signature.toString("base64url")}`;
    },
  };
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
