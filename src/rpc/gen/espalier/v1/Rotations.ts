// Original file: proto/espalier/v1/admin.proto

import type { Rotation as _espalier_v1_Rotation, Rotation__Output as _espalier_v1_Rotation__Output } from '../../espalier/v1/Rotation.ts';

export interface Rotations {
  'rotations'?: (_espalier_v1_Rotation)[];
}

export interface Rotations__Output {
  'rotations': (_espalier_v1_Rotation__Output)[];
}
