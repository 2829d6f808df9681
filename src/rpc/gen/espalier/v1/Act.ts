// Original file: proto/espalier/v1/admin.proto


export interface Act {
  'operator'?: (string);
  'reason'?: (string);
}

export interface Act__Output {
  'operator': (string);
  'reason': (string);
}
