// Original file: proto/espalier/v1/admin.proto

import type { WorkloadAsks as _espalier_v1_WorkloadAsks, WorkloadAsks__Output as _espalier_v1_WorkloadAsks__Output } from '../../espalier/v1/WorkloadAsks.ts';
import type { ObjectAsks as _espalier_v1_ObjectAsks, ObjectAsks__Output as _espalier_v1_ObjectAsks__Output } from '../../espalier/v1/ObjectAsks.ts';

export interface ExplainRequest {
  'cluster'?: (string);
  'signer'?: (string);
  'validitySeconds'?: (number);
  'workload'?: (_espalier_v1_WorkloadAsks | null);
  'object'?: (_espalier_v1_ObjectAsks | null);
  'who'?: "workload"|"object";
}

export interface ExplainRequest__Output {
  'cluster': (string);
  'signer': (string);
  'validitySeconds': (number);
  'workload'?: (_espalier_v1_WorkloadAsks__Output | null);
  'object'?: (_espalier_v1_ObjectAsks__Output | null);
  'who'?: "workload"|"object";
}
