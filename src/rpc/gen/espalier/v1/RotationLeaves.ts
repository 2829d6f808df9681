// Original file: proto/espalier/v1/admin.proto


export interface RotationLeaves {
  'tenant'?: (string);
  'cluster'?: (string);
  'count'?: (number);
  'firstEnd'?: (string);
  'lastEnd'?: (string);
  'door'?: (string);
}

export interface RotationLeaves__Output {
  'tenant': (string);
  'cluster': (string);
  'count': (number);
  'firstEnd': (string);
  'lastEnd': (string);
  'door': (string);
}
