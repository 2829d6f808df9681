// Original file: proto/espalier/v1/issuer.proto


export interface JoinReply {
  'certificate'?: (Buffer | Uint8Array | string);
  'hubRoots'?: (Buffer | Uint8Array | string)[];
}

export interface JoinReply__Output {
  'certificate': (Buffer);
  'hubRoots': (Buffer)[];
}
