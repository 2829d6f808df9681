// Original file: proto/espalier/v1/admin.proto


export interface JoinToken {
  'token'?: (string);
  'cluster'?: (string);
  'expiresAt'?: (string);
}

export interface JoinToken__Output {
  'token': (string);
  'cluster': (string);
  'expiresAt': (string);
}
