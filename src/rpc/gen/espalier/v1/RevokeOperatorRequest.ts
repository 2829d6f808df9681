// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface RevokeOperatorRequest {
  'act'?: (_espalier_v1_Act | null);
  'name'?: (string);
}

export interface RevokeOperatorRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'name': (string);
}
