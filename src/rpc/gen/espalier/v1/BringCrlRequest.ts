// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface BringCrlRequest {
  'act'?: (_espalier_v1_Act | null);
  'trustRoot'?: (string);
  'crl'?: (Buffer | Uint8Array | string);
  'dryRun'?: (boolean);
}

export interface BringCrlRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'trustRoot': (string);
  'crl': (Buffer);
  'dryRun': (boolean);
}
