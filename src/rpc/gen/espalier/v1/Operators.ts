// Original file: proto/espalier/v1/admin.proto

import type { Operator as _espalier_v1_Operator, Operator__Output as _espalier_v1_Operator__Output } from '../../espalier/v1/Operator.ts';

export interface Operators {
  'operators'?: (_espalier_v1_Operator)[];
}

export interface Operators__Output {
  'operators': (_espalier_v1_Operator__Output)[];
}
