// Original file: proto/espalier/v1/issuer.proto


export interface Refused {
  'code'?: (string);
  'message'?: (string);
  'reference'?: (string);
}

export interface Refused__Output {
  'code': (string);
  'message': (string);
  'reference': (string);
}
