// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface BringRootRequest {
  'act'?: (_espalier_v1_Act | null);
  'trustRoot'?: (string);
  'certificate'?: (Buffer | Uint8Array | string);
  'key'?: (Buffer | Uint8Array | string);
  'dryRun'?: (boolean);
}

export interface BringRootRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'trustRoot': (string);
  'certificate': (Buffer);
  'key': (Buffer);
  'dryRun': (boolean);
}
