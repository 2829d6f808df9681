// Original file: proto/espalier/v1/admin.proto


export interface ListClusterKeysRequest {
  'cluster'?: (string);
}

export interface ListClusterKeysRequest__Output {
  'cluster': (string);
}
