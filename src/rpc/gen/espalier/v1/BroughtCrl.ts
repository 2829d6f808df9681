// Original file: proto/espalier/v1/admin.proto


export interface BroughtCrl {
  'root'?: (string);
  'number'?: (string);
  'nextUpdate'?: (string);
  'changed'?: (boolean);
}

export interface BroughtCrl__Output {
  'root': (string);
  'number': (string);
  'nextUpdate': (string);
  'changed': (boolean);
}
