// Original file: proto/espalier/v1/admin.proto


export interface TenantAuthority {
  'tenant'?: (string);
  'id'?: (string);
  'state'?: (string);
  'algorithm'?: (string);
  'notBefore'?: (string);
  'notAfter'?: (string);
  'root'?: (string);
  'pem'?: (string);
  'requestedAt'?: (string);
  'validityDays'?: (number);
  'keySha256'?: (string);
}

export interface TenantAuthority__Output {
  'tenant': (string);
  'id': (string);
  'state': (string);
  'algorithm': (string);
  'notBefore': (string);
  'notAfter': (string);
  'root': (string);
  'pem': (string);
  'requestedAt': (string);
  'validityDays': (number);
  'keySha256': (string);
}
