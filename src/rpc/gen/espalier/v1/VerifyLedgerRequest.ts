// Original file: proto/espalier/v1/admin.proto


export interface VerifyLedgerRequest {
  'log'?: (string);
}

export interface VerifyLedgerRequest__Output {
  'log': (string);
}
