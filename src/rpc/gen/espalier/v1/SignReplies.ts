// Original file: proto/espalier/v1/issuer.proto

import type { SignReply as _espalier_v1_SignReply, SignReply__Output as _espalier_v1_SignReply__Output } from '../../espalier/v1/SignReply.ts';
import type { Chain as _espalier_v1_Chain, Chain__Output as _espalier_v1_Chain__Output } from '../../espalier/v1/Chain.ts';

export interface SignReplies {
  'replies'?: (_espalier_v1_SignReply)[];
  'chains'?: (_espalier_v1_Chain)[];
}

export interface SignReplies__Output {
  'replies': (_espalier_v1_SignReply__Output)[];
  'chains': (_espalier_v1_Chain__Output)[];
}
