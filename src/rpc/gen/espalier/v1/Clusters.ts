// Original file: proto/espalier/v1/admin.proto

import type { Cluster as _espalier_v1_Cluster, Cluster__Output as _espalier_v1_Cluster__Output } from '../../espalier/v1/Cluster.ts';

export interface Clusters {
  'clusters'?: (_espalier_v1_Cluster)[];
}

export interface Clusters__Output {
  'clusters': (_espalier_v1_Cluster__Output)[];
}
