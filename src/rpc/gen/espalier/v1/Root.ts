// Original file: proto/espalier/v1/admin.proto


export interface Root {
  'name'?: (string);
  'kind'?: (string);
  'state'?: (string);
  'algorithm'?: (string);
  'notBefore'?: (string);
  'notAfter'?: (string);
  'sha256'?: (string);
  'pem'?: (string);
  'created'?: (boolean);
}

export interface Root__Output {
  'name': (string);
  'kind': (string);
  'state': (string);
  'algorithm': (string);
  'notBefore': (string);
  'notAfter': (string);
  'sha256': (string);
  'pem': (string);
  'created': (boolean);
}
