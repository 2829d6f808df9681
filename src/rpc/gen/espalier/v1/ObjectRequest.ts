// Original file: proto/espalier/v1/issuer.proto


export interface ObjectRequest {
  'door'?: (string);
  'namespace'?: (string);
  'name'?: (string);
  'issuer'?: (string);
  'profile'?: (string);
  'username'?: (string);
  'groups'?: (string)[];
  'usages'?: (string)[];
  'isCa'?: (boolean);
}

export interface ObjectRequest__Output {
  'door': (string);
  'namespace': (string);
  'name': (string);
  'issuer': (string);
  'profile': (string);
  'username': (string);
  'groups': (string)[];
  'usages': (string)[];
  'isCa': (boolean);
}
