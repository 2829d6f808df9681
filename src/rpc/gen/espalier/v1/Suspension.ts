// Original file: proto/espalier/v1/admin.proto


export interface Suspension {
  'kind'?: (string);
  'name'?: (string);
  'suspended'?: (boolean);
  'changed'?: (boolean);
}

export interface Suspension__Output {
  'kind': (string);
  'name': (string);
  'suspended': (boolean);
  'changed': (boolean);
}
