// Original file: proto/espalier/v1/issuer.proto

import type { TenantTrust as _espalier_v1_TenantTrust, TenantTrust__Output as _espalier_v1_TenantTrust__Output } from '../../espalier/v1/TenantTrust.ts';

export interface Trust {
  'version'?: (string);
  'tenants'?: (_espalier_v1_TenantTrust)[];
  'servingRoots'?: (Buffer | Uint8Array | string)[];
  'clusterSuspended'?: (boolean);
  'servingNames'?: (string)[];
  'tokenKeysMissing'?: (boolean);
  'crls'?: (Buffer | Uint8Array | string)[];
  'crlNamespaces'?: (string)[];
  'hubRoots'?: (Buffer | Uint8Array | string)[];
}

export interface Trust__Output {
  'version': (string);
  'tenants': (_espalier_v1_TenantTrust__Output)[];
  'servingRoots': (Buffer)[];
  'clusterSuspended': (boolean);
  'servingNames': (string)[];
  'tokenKeysMissing': (boolean);
  'crls': (Buffer)[];
  'crlNamespaces': (string)[];
  'hubRoots': (Buffer)[];
}
