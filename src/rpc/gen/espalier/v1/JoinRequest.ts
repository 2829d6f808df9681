// Original file: proto/espalier/v1/issuer.proto


export interface JoinRequest {
  'cluster'?: (string);
  'csr'?: (Buffer | Uint8Array | string);
  'token'?: (string);
  'joinToken'?: (string);
  'jwks'?: (string);
}

export interface JoinRequest__Output {
  'cluster': (string);
  'csr': (Buffer);
  'token': (string);
  'joinToken': (string);
  'jwks': (string);
}
