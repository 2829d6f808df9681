// Original file: proto/espalier/v1/admin.proto


export interface VerifyProgress {
  'log'?: (string);
  'entries'?: (number);
  'unrecorded'?: (number);
  'rootHash'?: (string);
  'faults'?: (string)[];
  'done'?: (boolean);
  'pruned'?: (number);
}

export interface VerifyProgress__Output {
  'log': (string);
  'entries': (number);
  'unrecorded': (number);
  'rootHash': (string);
  'faults': (string)[];
  'done': (boolean);
  'pruned': (number);
}
