// Original file: proto/espalier/v1/admin.proto

import type { Operator as _espalier_v1_Operator, Operator__Output as _espalier_v1_Operator__Output } from '../../espalier/v1/Operator.ts';

export interface OperatorCertificate {
  'operator'?: (_espalier_v1_Operator | null);
  'changed'?: (boolean);
  'certificate'?: (Buffer | Uint8Array | string);
  'hubRoots'?: (Buffer | Uint8Array | string)[];
  'notAfter'?: (string);
}

export interface OperatorCertificate__Output {
  'operator': (_espalier_v1_Operator__Output | null);
  'changed': (boolean);
  'certificate': (Buffer);
  'hubRoots': (Buffer)[];
  'notAfter': (string);
}
