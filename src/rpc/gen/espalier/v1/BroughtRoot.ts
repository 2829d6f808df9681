// Original file: proto/espalier/v1/admin.proto

import type { Root as _espalier_v1_Root, Root__Output as _espalier_v1_Root__Output } from '../../espalier/v1/Root.ts';

export interface BroughtRoot {
  'root'?: (_espalier_v1_Root | null);
  'warnings'?: (string)[];
}

export interface BroughtRoot__Output {
  'root': (_espalier_v1_Root__Output | null);
  'warnings': (string)[];
}
