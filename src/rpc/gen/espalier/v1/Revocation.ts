// Original file: proto/espalier/v1/admin.proto


export interface Revocation {
  'serial'?: (string);
  'log'?: (string);
  'authority'?: (string);
  'reason'?: (string);
  'revokedAt'?: (string);
  'notAfter'?: (string);
}

export interface Revocation__Output {
  'serial': (string);
  'log': (string);
  'authority': (string);
  'reason': (string);
  'revokedAt': (string);
  'notAfter': (string);
}
