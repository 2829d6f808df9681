/** What a client of Istio's protocol asks: read strictly, taken only where it is a request and never a claim. */
import { Refusal } from "../errors.ts";
import type { SpiffeId } from "../identity.ts";
import { readCsr } from "../pki/csr.ts";
import { csrLabels, readPem } from "../pki/pem.ts";
import type { Struct__Output } from "../rpc/gen/google/protobuf/Struct.ts";
import type { IstioCertificateRequest__Output } from "../rpc/gen/istio/v1/auth/IstioCertificateRequest.ts";

export interface IstioRequest {
  /** DER. */
  readonly csr: Uint8Array;
  readonly spki: Uint8Array;
  readonly identity: SpiffeId;
  /** As asked, within 32 bits; what it becomes is the tenant's policy. */
  readonly validitySeconds: number;
  /** CertSigner; empty for none. Istio's agents always send it, mostly empty. */
  readonly signer: string;
  /** ImpersonatedIdentity; empty for none. */
  readonly impersonated: string;
}

const signerLengthMax = 253;
const int32Max = 2 ** 31 - 1;

/** @throws Refusal `malformed` or `csr-key`. */
export function readRequest({ csr: pem, validityDuration, metadata }: IstioCertificateRequest__Output): IstioRequest {
  const csr = readPem(pem, csrLabels);
  const { spki, identity } = readCsr(csr);
  if (identity === undefined) throw new Refusal("malformed", "the CSR names no identity: it has no URI SAN");
  const signer = readMetadata(metadata, "CertSigner");
  if (signer.length > signerLengthMax)
    throw new Refusal("malformed", `CertSigner is longer than ${signerLengthMax} characters`);
  const impersonated = readMetadata(metadata, "ImpersonatedIdentity");
  return { csr, spki, identity, validitySeconds: readSeconds(validityDuration), signer, impersonated };
}

/** int64 comes as a decimal string. 2^63-1 asks for a lot, and overflows nothing. */
function readSeconds(text: string): number {
  const seconds = BigInt(text);
  if (seconds <= 0n) return 0;
  return seconds > BigInt(int32Max) ? int32Max : Number(seconds);
}

/** As istiod reads it: what is not a string is as absent. */
function readMetadata(metadata: Struct__Output | null, key: string): string {
  return metadata?.fields?.[key]?.stringValue ?? "";
}
