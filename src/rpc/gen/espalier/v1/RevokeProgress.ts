// Original file: proto/espalier/v1/admin.proto


export interface RevokeProgress {
  'looked'?: (number);
  'revoked'?: (number);
  'already'?: (number);
  'ended'?: (number);
  'changed'?: (boolean);
  'successor'?: (string);
  'limits'?: (string)[];
  'done'?: (boolean);
}

export interface RevokeProgress__Output {
  'looked': (number);
  'revoked': (number);
  'already': (number);
  'ended': (number);
  'changed': (boolean);
  'successor': (string);
  'limits': (string)[];
  'done': (boolean);
}
