// Original file: proto/espalier/v1/admin.proto


export interface WorkloadName {
  'tenant'?: (string);
  'namespace'?: (string);
  'serviceAccount'?: (string);
}

export interface WorkloadName__Output {
  'tenant': (string);
  'namespace': (string);
  'serviceAccount': (string);
}
