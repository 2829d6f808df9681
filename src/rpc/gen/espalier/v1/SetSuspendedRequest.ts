// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface SetSuspendedRequest {
  'act'?: (_espalier_v1_Act | null);
  'kind'?: (string);
  'name'?: (string);
  'suspended'?: (boolean);
}

export interface SetSuspendedRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'kind': (string);
  'name': (string);
  'suspended': (boolean);
}
