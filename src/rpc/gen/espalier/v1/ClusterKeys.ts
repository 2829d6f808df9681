// Original file: proto/espalier/v1/admin.proto

import type { ClusterKey as _espalier_v1_ClusterKey, ClusterKey__Output as _espalier_v1_ClusterKey__Output } from '../../espalier/v1/ClusterKey.ts';

export interface ClusterKeys {
  'cluster'?: (string);
  'source'?: (string);
  'keys'?: (_espalier_v1_ClusterKey)[];
  'proposal'?: (string);
  'proposedAt'?: (string);
}

export interface ClusterKeys__Output {
  'cluster': (string);
  'source': (string);
  'keys': (_espalier_v1_ClusterKey__Output)[];
  'proposal': (string);
  'proposedAt': (string);
}
