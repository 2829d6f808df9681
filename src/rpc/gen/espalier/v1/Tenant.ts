// Original file: proto/espalier/v1/admin.proto

import type { Authority as _espalier_v1_Authority, Authority__Output as _espalier_v1_Authority__Output } from '../../espalier/v1/Authority.ts';

export interface Tenant {
  'name'?: (string);
  'trustDomain'?: (string);
  'root'?: (string);
  'suspended'?: (boolean);
  'authorities'?: (_espalier_v1_Authority)[];
  'rules'?: (string)[];
  'bundleVersion'?: (string);
  'bundlePem'?: (string);
  'problem'?: (string);
  'next'?: (string);
  'crlPem'?: (string);
}

export interface Tenant__Output {
  'name': (string);
  'trustDomain': (string);
  'root': (string);
  'suspended': (boolean);
  'authorities': (_espalier_v1_Authority__Output)[];
  'rules': (string)[];
  'bundleVersion': (string);
  'bundlePem': (string);
  'problem': (string);
  'next': (string);
  'crlPem': (string);
}
