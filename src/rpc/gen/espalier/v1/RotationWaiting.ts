// Original file: proto/espalier/v1/admin.proto


export interface RotationWaiting {
  'kind'?: (string);
  'name'?: (string);
  'says'?: (string);
  'until'?: (string);
}

export interface RotationWaiting__Output {
  'kind': (string);
  'name': (string);
  'says': (string);
  'until': (string);
}
