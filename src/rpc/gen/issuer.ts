import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Chain as _espalier_v1_Chain, Chain__Output as _espalier_v1_Chain__Output } from './espalier/v1/Chain.ts';
import type { Impersonation as _espalier_v1_Impersonation, Impersonation__Output as _espalier_v1_Impersonation__Output } from './espalier/v1/Impersonation.ts';
import type { Issued as _espalier_v1_Issued, Issued__Output as _espalier_v1_Issued__Output } from './espalier/v1/Issued.ts';
import type { IssuerClient as _espalier_v1_IssuerClient, IssuerDefinition as _espalier_v1_IssuerDefinition } from './espalier/v1/Issuer.ts';
import type { JoinReply as _espalier_v1_JoinReply, JoinReply__Output as _espalier_v1_JoinReply__Output } from './espalier/v1/JoinReply.ts';
import type { JoinRequest as _espalier_v1_JoinRequest, JoinRequest__Output as _espalier_v1_JoinRequest__Output } from './espalier/v1/JoinRequest.ts';
import type { ObjectRequest as _espalier_v1_ObjectRequest, ObjectRequest__Output as _espalier_v1_ObjectRequest__Output } from './espalier/v1/ObjectRequest.ts';
import type { Refused as _espalier_v1_Refused, Refused__Output as _espalier_v1_Refused__Output } from './espalier/v1/Refused.ts';
import type { Serving as _espalier_v1_Serving, Serving__Output as _espalier_v1_Serving__Output } from './espalier/v1/Serving.ts';
import type { SignBatch as _espalier_v1_SignBatch, SignBatch__Output as _espalier_v1_SignBatch__Output } from './espalier/v1/SignBatch.ts';
import type { SignItem as _espalier_v1_SignItem, SignItem__Output as _espalier_v1_SignItem__Output } from './espalier/v1/SignItem.ts';
import type { SignReplies as _espalier_v1_SignReplies, SignReplies__Output as _espalier_v1_SignReplies__Output } from './espalier/v1/SignReplies.ts';
import type { SignReply as _espalier_v1_SignReply, SignReply__Output as _espalier_v1_SignReply__Output } from './espalier/v1/SignReply.ts';
import type { TenantTrust as _espalier_v1_TenantTrust, TenantTrust__Output as _espalier_v1_TenantTrust__Output } from './espalier/v1/TenantTrust.ts';
import type { Trust as _espalier_v1_Trust, Trust__Output as _espalier_v1_Trust__Output } from './espalier/v1/Trust.ts';
import type { TrustAck as _espalier_v1_TrustAck, TrustAck__Output as _espalier_v1_TrustAck__Output } from './espalier/v1/TrustAck.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      Chain: MessageTypeDefinition<_espalier_v1_Chain, _espalier_v1_Chain__Output>
      Impersonation: MessageTypeDefinition<_espalier_v1_Impersonation, _espalier_v1_Impersonation__Output>
      Issued: MessageTypeDefinition<_espalier_v1_Issued, _espalier_v1_Issued__Output>
      Issuer: SubtypeConstructor<typeof grpc.Client, _espalier_v1_IssuerClient> & { service: _espalier_v1_IssuerDefinition }
      JoinReply: MessageTypeDefinition<_espalier_v1_JoinReply, _espalier_v1_JoinReply__Output>
      JoinRequest: MessageTypeDefinition<_espalier_v1_JoinRequest, _espalier_v1_JoinRequest__Output>
      ObjectRequest: MessageTypeDefinition<_espalier_v1_ObjectRequest, _espalier_v1_ObjectRequest__Output>
      Refused: MessageTypeDefinition<_espalier_v1_Refused, _espalier_v1_Refused__Output>
      Serving: MessageTypeDefinition<_espalier_v1_Serving, _espalier_v1_Serving__Output>
      SignBatch: MessageTypeDefinition<_espalier_v1_SignBatch, _espalier_v1_SignBatch__Output>
      SignItem: MessageTypeDefinition<_espalier_v1_SignItem, _espalier_v1_SignItem__Output>
      SignReplies: MessageTypeDefinition<_espalier_v1_SignReplies, _espalier_v1_SignReplies__Output>
      SignReply: MessageTypeDefinition<_espalier_v1_SignReply, _espalier_v1_SignReply__Output>
      TenantTrust: MessageTypeDefinition<_espalier_v1_TenantTrust, _espalier_v1_TenantTrust__Output>
      Trust: MessageTypeDefinition<_espalier_v1_Trust, _espalier_v1_Trust__Output>
      TrustAck: MessageTypeDefinition<_espalier_v1_TrustAck, _espalier_v1_TrustAck__Output>
    }
  }
}

