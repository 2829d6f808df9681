// Original file: proto/espalier/v1/issuer.proto


export interface TrustAck {
  'version'?: (string);
  'inForceSince'?: (string);
  'agent'?: (string);
  'jwks'?: (string);
  'lacking'?: (string)[];
  'wholeCluster'?: (boolean);
  'hubRoots'?: (boolean);
}

export interface TrustAck__Output {
  'version': (string);
  'inForceSince': (string);
  'agent': (string);
  'jwks': (string);
  'lacking': (string)[];
  'wholeCluster': (boolean);
  'hubRoots': (boolean);
}
