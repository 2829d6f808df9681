// Original file: proto/espalier/v1/issuer.proto

import type { SignItem as _espalier_v1_SignItem, SignItem__Output as _espalier_v1_SignItem__Output } from '../../espalier/v1/SignItem.ts';

export interface SignBatch {
  'items'?: (_espalier_v1_SignItem)[];
}

export interface SignBatch__Output {
  'items': (_espalier_v1_SignItem__Output)[];
}
