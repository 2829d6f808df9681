// Original file: proto/espalier/v1/admin.proto


export interface WorkloadAsks {
  'namespace'?: (string);
  'serviceAccount'?: (string);
  'proof'?: (string);
  'identity'?: (string);
}

export interface WorkloadAsks__Output {
  'namespace': (string);
  'serviceAccount': (string);
  'proof': (string);
  'identity': (string);
}
