// Original file: proto/espalier/v1/admin.proto

import type { ConsideredRule as _espalier_v1_ConsideredRule, ConsideredRule__Output as _espalier_v1_ConsideredRule__Output } from '../../espalier/v1/ConsideredRule.ts';

export interface Explanation {
  'cluster'?: (string);
  'granted'?: (boolean);
  'code'?: (string);
  'message'?: (string);
  'fixes'?: (string)[];
  'tenant'?: (string);
  'rule'?: (string);
  'proof'?: (string);
  'identity'?: (string);
  'validitySeconds'?: (number);
  'authority'?: (string);
  'rules'?: (_espalier_v1_ConsideredRule)[];
  'notes'?: (string)[];
}

export interface Explanation__Output {
  'cluster': (string);
  'granted': (boolean);
  'code': (string);
  'message': (string);
  'fixes': (string)[];
  'tenant': (string);
  'rule': (string);
  'proof': (string);
  'identity': (string);
  'validitySeconds': (number);
  'authority': (string);
  'rules': (_espalier_v1_ConsideredRule__Output)[];
  'notes': (string)[];
}
