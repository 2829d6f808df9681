// Original file: proto/espalier/v1/admin.proto

import type { Tenant as _espalier_v1_Tenant, Tenant__Output as _espalier_v1_Tenant__Output } from '../../espalier/v1/Tenant.ts';

export interface Tenants {
  'tenants'?: (_espalier_v1_Tenant)[];
}

export interface Tenants__Output {
  'tenants': (_espalier_v1_Tenant__Output)[];
}
