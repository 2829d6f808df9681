// Original file: proto/espalier/v1/issuer.proto

import type { Serving as _espalier_v1_Serving, Serving__Output as _espalier_v1_Serving__Output } from '../../espalier/v1/Serving.ts';
import type { Impersonation as _espalier_v1_Impersonation, Impersonation__Output as _espalier_v1_Impersonation__Output } from '../../espalier/v1/Impersonation.ts';
import type { ObjectRequest as _espalier_v1_ObjectRequest, ObjectRequest__Output as _espalier_v1_ObjectRequest__Output } from '../../espalier/v1/ObjectRequest.ts';

export interface SignItem {
  'id'?: (number);
  'csr'?: (Buffer | Uint8Array | string);
  'validitySeconds'?: (number);
  'signer'?: (string);
  'deadlineMs'?: (number);
  'idempotencyKey'?: (string);
  'token'?: (string);
  'certificate'?: (Buffer | Uint8Array | string);
  'serving'?: (_espalier_v1_Serving | null);
  'impersonated'?: (_espalier_v1_Impersonation | null);
  'request'?: (_espalier_v1_ObjectRequest | null);
  'proof'?: "token"|"certificate"|"serving"|"impersonated"|"request";
}

export interface SignItem__Output {
  'id': (number);
  'csr': (Buffer);
  'validitySeconds': (number);
  'signer': (string);
  'deadlineMs': (number);
  'idempotencyKey': (string);
  'token'?: (string);
  'certificate'?: (Buffer);
  'serving'?: (_espalier_v1_Serving__Output | null);
  'impersonated'?: (_espalier_v1_Impersonation__Output | null);
  'request'?: (_espalier_v1_ObjectRequest__Output | null);
  'proof'?: "token"|"certificate"|"serving"|"impersonated"|"request";
}
