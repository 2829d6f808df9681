// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';

export interface RotationRequest {
  'act'?: (_espalier_v1_Act | null);
  'trustRoot'?: (string);
  'servingOf'?: (string);
  'dryRun'?: (boolean);
  'acknowledge'?: (string)[];
  'hub'?: (boolean);
  'to'?: (string);
  'target'?: "trustRoot"|"servingOf"|"hub";
}

export interface RotationRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'trustRoot'?: (string);
  'servingOf'?: (string);
  'dryRun': (boolean);
  'acknowledge': (string)[];
  'hub'?: (boolean);
  'to': (string);
  'target'?: "trustRoot"|"servingOf"|"hub";
}
