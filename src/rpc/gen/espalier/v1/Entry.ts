// Original file: proto/espalier/v1/admin.proto


export interface Entry {
  'log'?: (string);
  'position'?: (string);
  'kind'?: (string);
  'body'?: (Buffer | Uint8Array | string);
  'leafHash'?: (Buffer | Uint8Array | string);
  'certificate'?: (Buffer | Uint8Array | string);
  'serial'?: (string);
  'revokedAt'?: (string);
  'revocationReason'?: (string);
  'cursor'?: (string);
}

export interface Entry__Output {
  'log': (string);
  'position': (string);
  'kind': (string);
  'body': (Buffer);
  'leafHash': (Buffer);
  'certificate': (Buffer);
  'serial': (string);
  'revokedAt': (string);
  'revocationReason': (string);
  'cursor': (string);
}
