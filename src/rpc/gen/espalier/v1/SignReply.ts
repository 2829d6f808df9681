// Original file: proto/espalier/v1/issuer.proto

import type { Issued as _espalier_v1_Issued, Issued__Output as _espalier_v1_Issued__Output } from '../../espalier/v1/Issued.ts';
import type { Refused as _espalier_v1_Refused, Refused__Output as _espalier_v1_Refused__Output } from '../../espalier/v1/Refused.ts';

export interface SignReply {
  'id'?: (number);
  'issued'?: (_espalier_v1_Issued | null);
  'refused'?: (_espalier_v1_Refused | null);
  'result'?: "issued"|"refused";
}

export interface SignReply__Output {
  'id': (number);
  'issued'?: (_espalier_v1_Issued__Output | null);
  'refused'?: (_espalier_v1_Refused__Output | null);
  'result'?: "issued"|"refused";
}
