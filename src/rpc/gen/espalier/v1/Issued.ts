// Original file: proto/espalier/v1/issuer.proto


export interface Issued {
  'leaf'?: (Buffer | Uint8Array | string);
  'chain'?: (number);
}

export interface Issued__Output {
  'leaf': (Buffer);
  'chain': (number);
}
