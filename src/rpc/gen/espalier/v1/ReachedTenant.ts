// Original file: proto/espalier/v1/admin.proto


export interface ReachedTenant {
  'tenant'?: (string);
  'trustDomain'?: (string);
  'certificates'?: (number);
  'identities'?: (number);
  'lastEnd'?: (string);
  'forgeable'?: (boolean);
  'hasCrls'?: (boolean);
}

export interface ReachedTenant__Output {
  'tenant': (string);
  'trustDomain': (string);
  'certificates': (number);
  'identities': (number);
  'lastEnd': (string);
  'forgeable': (boolean);
  'hasCrls': (boolean);
}
