// Original file: proto/espalier/v1/admin.proto


export interface OperatorChange {
  'name'?: (string);
  'changed'?: (boolean);
}

export interface OperatorChange__Output {
  'name': (string);
  'changed': (boolean);
}
