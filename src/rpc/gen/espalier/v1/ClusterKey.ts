// Original file: proto/espalier/v1/admin.proto


export interface ClusterKey {
  'thumbprint'?: (string);
  'kid'?: (string);
  'algorithm'?: (string);
  'inForce'?: (boolean);
  'registered'?: (boolean);
  'proposed'?: (boolean);
}

export interface ClusterKey__Output {
  'thumbprint': (string);
  'kid': (string);
  'algorithm': (string);
  'inForce': (boolean);
  'registered': (boolean);
  'proposed': (boolean);
}
