// Original file: proto/espalier/v1/admin.proto


export interface Operator {
  'name'?: (string);
  'role'?: (string);
  'keySha256'?: (string);
  'madeAt'?: (string);
  'revokedAt'?: (string);
}

export interface Operator__Output {
  'name': (string);
  'role': (string);
  'keySha256': (string);
  'madeAt': (string);
  'revokedAt': (string);
}
