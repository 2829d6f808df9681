// Original file: proto/espalier/v1/admin.proto


export interface ClusterKeysChange {
  'cluster'?: (string);
  'changed'?: (boolean);
  'added'?: (string)[];
  'removed'?: (string)[];
}

export interface ClusterKeysChange__Output {
  'cluster': (string);
  'changed': (boolean);
  'added': (string)[];
  'removed': (string)[];
}
