// Original file: proto/espalier/v1/admin.proto

import type { TenantAuthority as _espalier_v1_TenantAuthority, TenantAuthority__Output as _espalier_v1_TenantAuthority__Output } from '../../espalier/v1/TenantAuthority.ts';

export interface TakenAuthority {
  'authority'?: (_espalier_v1_TenantAuthority | null);
  'changed'?: (boolean);
  'warnings'?: (string)[];
}

export interface TakenAuthority__Output {
  'authority': (_espalier_v1_TenantAuthority__Output | null);
  'changed': (boolean);
  'warnings': (string)[];
}
