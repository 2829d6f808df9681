// Original file: proto/espalier/v1/issuer.proto


export interface Impersonation {
  'token'?: (string);
  'identity'?: (string);
}

export interface Impersonation__Output {
  'token': (string);
  'identity': (string);
}
