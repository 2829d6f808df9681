// Original file: proto/espalier/v1/admin.proto


export interface ListEntriesRequest {
  'log'?: (string);
  'identity'?: (string);
  'cluster'?: (string);
  'limit'?: (number);
  'unrecordedOnly'?: (boolean);
  'before'?: (string);
}

export interface ListEntriesRequest__Output {
  'log': (string);
  'identity': (string);
  'cluster': (string);
  'limit': (number);
  'unrecordedOnly': (boolean);
  'before': (string);
}
