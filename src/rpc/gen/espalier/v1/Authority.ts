// Original file: proto/espalier/v1/admin.proto


export interface Authority {
  'id'?: (string);
  'state'?: (string);
  'algorithm'?: (string);
  'notBefore'?: (string);
  'notAfter'?: (string);
  'pem'?: (string);
}

export interface Authority__Output {
  'id': (string);
  'state': (string);
  'algorithm': (string);
  'notBefore': (string);
  'notAfter': (string);
  'pem': (string);
}
