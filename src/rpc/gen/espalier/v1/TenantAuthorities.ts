// Original file: proto/espalier/v1/admin.proto

import type { TenantAuthority as _espalier_v1_TenantAuthority, TenantAuthority__Output as _espalier_v1_TenantAuthority__Output } from '../../espalier/v1/TenantAuthority.ts';

export interface TenantAuthorities {
  'authorities'?: (_espalier_v1_TenantAuthority)[];
}

export interface TenantAuthorities__Output {
  'authorities': (_espalier_v1_TenantAuthority__Output)[];
}
