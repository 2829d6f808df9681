// Original file: proto/espalier/v1/admin.proto


export interface Acknowledgement {
  'agent'?: (string);
  'version'?: (string);
  'inForceSince'?: (string);
}

export interface Acknowledgement__Output {
  'agent': (string);
  'version': (string);
  'inForceSince': (string);
}
