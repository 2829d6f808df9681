// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface CreateRootRequest {
  'act'?: (_espalier_v1_Act | null);
  'trustRoot'?: (string);
  'servingOf'?: (string);
  'dryRun'?: (boolean);
  'target'?: "trustRoot"|"servingOf";
}

export interface CreateRootRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'trustRoot'?: (string);
  'servingOf'?: (string);
  'dryRun': (boolean);
  'target'?: "trustRoot"|"servingOf";
}
