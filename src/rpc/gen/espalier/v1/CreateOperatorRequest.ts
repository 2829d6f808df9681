// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface CreateOperatorRequest {
  'act'?: (_espalier_v1_Act | null);
  'name'?: (string);
  'role'?: (string);
  'csr'?: (Buffer | Uint8Array | string);
  'days'?: (number);
  'dryRun'?: (boolean);
}

export interface CreateOperatorRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'name': (string);
  'role': (string);
  'csr': (Buffer);
  'days': (number);
  'dryRun': (boolean);
}
