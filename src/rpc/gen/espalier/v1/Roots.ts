// Original file: proto/espalier/v1/admin.proto

import type { Root as _espalier_v1_Root, Root__Output as _espalier_v1_Root__Output } from '../../espalier/v1/Root.ts';

export interface Roots {
  'roots'?: (_espalier_v1_Root)[];
}

export interface Roots__Output {
  'roots': (_espalier_v1_Root__Output)[];
}
