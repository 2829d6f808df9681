// Original file: proto/espalier/v1/admin.proto


export interface BlastRadiusRequest {
  'kind'?: (string);
  'name'?: (string);
}

export interface BlastRadiusRequest__Output {
  'kind': (string);
  'name': (string);
}
