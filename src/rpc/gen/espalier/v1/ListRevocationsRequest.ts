// Original file: proto/espalier/v1/admin.proto


export interface ListRevocationsRequest {
  'limit'?: (number);
}

export interface ListRevocationsRequest__Output {
  'limit': (number);
}
