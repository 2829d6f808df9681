// Original file: proto/espalier/v1/issuer.proto


export interface Chain {
  'authority'?: (string);
  'intermediates'?: (Buffer | Uint8Array | string)[];
  'bundle'?: (Buffer | Uint8Array | string)[];
  'bundleVersion'?: (string);
}

export interface Chain__Output {
  'authority': (string);
  'intermediates': (Buffer)[];
  'bundle': (Buffer)[];
  'bundleVersion': (string);
}
