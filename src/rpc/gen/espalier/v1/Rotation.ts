// Original file: proto/espalier/v1/admin.proto

import type { RotationRoot as _espalier_v1_RotationRoot, RotationRoot__Output as _espalier_v1_RotationRoot__Output } from '../../espalier/v1/RotationRoot.ts';
import type { RotationWaiting as _espalier_v1_RotationWaiting, RotationWaiting__Output as _espalier_v1_RotationWaiting__Output } from '../../espalier/v1/RotationWaiting.ts';
import type { RotationLeaves as _espalier_v1_RotationLeaves, RotationLeaves__Output as _espalier_v1_RotationLeaves__Output } from '../../espalier/v1/RotationLeaves.ts';

export interface Rotation {
  'name'?: (string);
  'kind'?: (string);
  'phase'?: (string);
  'coming'?: (_espalier_v1_RotationRoot | null);
  'leaving'?: (_espalier_v1_RotationRoot | null);
  'held'?: (boolean);
  'open'?: (boolean);
  'opensAtLatest'?: (string);
  'waitingFor'?: (_espalier_v1_RotationWaiting)[];
  'certificates'?: (number);
  'leaves'?: (_espalier_v1_RotationLeaves)[];
  'changed'?: (boolean);
  'waiting'?: ({[key: string]: number});
}

export interface Rotation__Output {
  'name': (string);
  'kind': (string);
  'phase': (string);
  'coming': (_espalier_v1_RotationRoot__Output | null);
  'leaving': (_espalier_v1_RotationRoot__Output | null);
  'held': (boolean);
  'open': (boolean);
  'opensAtLatest': (string);
  'waitingFor': (_espalier_v1_RotationWaiting__Output)[];
  'certificates': (number);
  'leaves': (_espalier_v1_RotationLeaves__Output)[];
  'changed': (boolean);
  'waiting': ({[key: string]: number});
}
