// Original file: proto/espalier/v1/admin.proto


export interface ShowEntryRequest {
  'id'?: (string);
}

export interface ShowEntryRequest__Output {
  'id': (string);
}
