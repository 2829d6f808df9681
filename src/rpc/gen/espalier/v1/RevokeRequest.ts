// Original file: proto/espalier/v1/admin.proto

import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from '../../espalier/v1/Act.ts';
import type { Serials as _espalier_v1_Serials, Serials__Output as _espalier_v1_Serials__Output } from '../../espalier/v1/Serials.ts';
import type { WorkloadName as _espalier_v1_WorkloadName, WorkloadName__Output as _espalier_v1_WorkloadName__Output } from '../../espalier/v1/WorkloadName.ts';

export interface RevokeRequest {
  'act'?: (_espalier_v1_Act | null);
  'crlReason'?: (string);
  'dryRun'?: (boolean);
  'serials'?: (_espalier_v1_Serials | null);
  'workload'?: (_espalier_v1_WorkloadName | null);
  'cluster'?: (string);
  'authority'?: (string);
  'target'?: "serials"|"workload"|"cluster"|"authority";
}

export interface RevokeRequest__Output {
  'act': (_espalier_v1_Act__Output | null);
  'crlReason': (string);
  'dryRun': (boolean);
  'serials'?: (_espalier_v1_Serials__Output | null);
  'workload'?: (_espalier_v1_WorkloadName__Output | null);
  'cluster'?: (string);
  'authority'?: (string);
  'target'?: "serials"|"workload"|"cluster"|"authority";
}
