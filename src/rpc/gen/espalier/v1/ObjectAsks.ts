// Original file: proto/espalier/v1/admin.proto

import type { ObjectRequest as _espalier_v1_ObjectRequest, ObjectRequest__Output as _espalier_v1_ObjectRequest__Output } from '../../espalier/v1/ObjectRequest.ts';

export interface ObjectAsks {
  'csr'?: (Buffer | Uint8Array | string);
  'request'?: (_espalier_v1_ObjectRequest | null);
}

export interface ObjectAsks__Output {
  'csr': (Buffer);
  'request': (_espalier_v1_ObjectRequest__Output | null);
}
