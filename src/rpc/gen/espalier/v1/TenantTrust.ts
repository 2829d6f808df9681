// Original file: proto/espalier/v1/issuer.proto


export interface TenantTrust {
  'tenant'?: (string);
  'trustDomain'?: (string);
  'roots'?: (Buffer | Uint8Array | string)[];
  'bundleVersion'?: (string);
  'suspended'?: (boolean);
  'requests'?: (boolean);
}

export interface TenantTrust__Output {
  'tenant': (string);
  'trustDomain': (string);
  'roots': (Buffer)[];
  'bundleVersion': (string);
  'suspended': (boolean);
  'requests': (boolean);
}
