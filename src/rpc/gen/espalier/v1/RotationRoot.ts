// Original file: proto/espalier/v1/admin.proto


export interface RotationRoot {
  'id'?: (string);
  'state'?: (string);
  'notAfter'?: (string);
  'sha256'?: (string);
}

export interface RotationRoot__Output {
  'id': (string);
  'state': (string);
  'notAfter': (string);
  'sha256': (string);
}
