// Original file: proto/espalier/v1/admin.proto

import type { ReachedTenant as _espalier_v1_ReachedTenant, ReachedTenant__Output as _espalier_v1_ReachedTenant__Output } from '../../espalier/v1/ReachedTenant.ts';

export interface Reach {
  'looked'?: (number);
  'means'?: (string)[];
  'tenants'?: (_espalier_v1_ReachedTenant)[];
  'clusters'?: (string)[];
  'until'?: (string);
  'mends'?: (string)[];
  'done'?: (boolean);
}

export interface Reach__Output {
  'looked': (number);
  'means': (string)[];
  'tenants': (_espalier_v1_ReachedTenant__Output)[];
  'clusters': (string)[];
  'until': (string);
  'mends': (string)[];
  'done': (boolean);
}
