// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface TakeAuthorityRequest {
  'act'?: (_espalier_v1_Act | null);
  'certificate'?: (Buffer | Uint8Array | string);
  'dryRun'?: (boolean);
}

export interface TakeAuthorityRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'certificate': (Buffer);
  'dryRun': (boolean);
}
