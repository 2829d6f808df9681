// Original file: proto/espalier/v1/admin.proto

import type { Revocation as _espalier_v1_Revocation, Revocation__Output as _espalier_v1_Revocation__Output } from '../../espalier/v1/Revocation.ts';

export interface Revocations {
  'revocations'?: (_espalier_v1_Revocation)[];
  'deniedWorkloads'?: (string)[];
}

export interface Revocations__Output {
  'revocations': (_espalier_v1_Revocation__Output)[];
  'deniedWorkloads': (string)[];
}
