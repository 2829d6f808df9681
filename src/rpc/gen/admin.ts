import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Acknowledgement as _espalier_v1_Acknowledgement, Acknowledgement__Output as _espalier_v1_Acknowledgement__Output } from './espalier/v1/Acknowledgement.ts';
import type { Act as _espalier_v1_Act, Act__Output as _espalier_v1_Act__Output } from './espalier/v1/Act.ts';
import type { AdminClient as _espalier_v1_AdminClient, AdminDefinition as _espalier_v1_AdminDefinition } from './espalier/v1/Admin.ts';
import type { ApproveClusterKeysRequest as _espalier_v1_ApproveClusterKeysRequest, ApproveClusterKeysRequest__Output as _espalier_v1_ApproveClusterKeysRequest__Output } from './espalier/v1/ApproveClusterKeysRequest.ts';
import type { Authority as _espalier_v1_Authority, Authority__Output as _espalier_v1_Authority__Output } from './espalier/v1/Authority.ts';
import type { BlastRadiusRequest as _espalier_v1_BlastRadiusRequest, BlastRadiusRequest__Output as _espalier_v1_BlastRadiusRequest__Output } from './espalier/v1/BlastRadiusRequest.ts';
import type { BringCrlRequest as _espalier_v1_BringCrlRequest, BringCrlRequest__Output as _espalier_v1_BringCrlRequest__Output } from './espalier/v1/BringCrlRequest.ts';
import type { BringRootRequest as _espalier_v1_BringRootRequest, BringRootRequest__Output as _espalier_v1_BringRootRequest__Output } from './espalier/v1/BringRootRequest.ts';
import type { BroughtCrl as _espalier_v1_BroughtCrl, BroughtCrl__Output as _espalier_v1_BroughtCrl__Output } from './espalier/v1/BroughtCrl.ts';
import type { BroughtRoot as _espalier_v1_BroughtRoot, BroughtRoot__Output as _espalier_v1_BroughtRoot__Output } from './espalier/v1/BroughtRoot.ts';
import type { Chain as _espalier_v1_Chain, Chain__Output as _espalier_v1_Chain__Output } from './espalier/v1/Chain.ts';
import type { Cluster as _espalier_v1_Cluster, Cluster__Output as _espalier_v1_Cluster__Output } from './espalier/v1/Cluster.ts';
import type { ClusterKey as _espalier_v1_ClusterKey, ClusterKey__Output as _espalier_v1_ClusterKey__Output } from './espalier/v1/ClusterKey.ts';
import type { ClusterKeys as _espalier_v1_ClusterKeys, ClusterKeys__Output as _espalier_v1_ClusterKeys__Output } from './espalier/v1/ClusterKeys.ts';
import type { ClusterKeysChange as _espalier_v1_ClusterKeysChange, ClusterKeysChange__Output as _espalier_v1_ClusterKeysChange__Output } from './espalier/v1/ClusterKeysChange.ts';
import type { Clusters as _espalier_v1_Clusters, Clusters__Output as _espalier_v1_Clusters__Output } from './espalier/v1/Clusters.ts';
import type { ConsideredRule as _espalier_v1_ConsideredRule, ConsideredRule__Output as _espalier_v1_ConsideredRule__Output } from './espalier/v1/ConsideredRule.ts';
import type { CreateJoinTokenRequest as _espalier_v1_CreateJoinTokenRequest, CreateJoinTokenRequest__Output as _espalier_v1_CreateJoinTokenRequest__Output } from './espalier/v1/CreateJoinTokenRequest.ts';
import type { CreateOperatorRequest as _espalier_v1_CreateOperatorRequest, CreateOperatorRequest__Output as _espalier_v1_CreateOperatorRequest__Output } from './espalier/v1/CreateOperatorRequest.ts';
import type { CreateRootRequest as _espalier_v1_CreateRootRequest, CreateRootRequest__Output as _espalier_v1_CreateRootRequest__Output } from './espalier/v1/CreateRootRequest.ts';
import type { Entry as _espalier_v1_Entry, Entry__Output as _espalier_v1_Entry__Output } from './espalier/v1/Entry.ts';
import type { ExplainRequest as _espalier_v1_ExplainRequest, ExplainRequest__Output as _espalier_v1_ExplainRequest__Output } from './espalier/v1/ExplainRequest.ts';
import type { Explanation as _espalier_v1_Explanation, Explanation__Output as _espalier_v1_Explanation__Output } from './espalier/v1/Explanation.ts';
import type { Impersonation as _espalier_v1_Impersonation, Impersonation__Output as _espalier_v1_Impersonation__Output } from './espalier/v1/Impersonation.ts';
import type { ImportAuthorityRequest as _espalier_v1_ImportAuthorityRequest, ImportAuthorityRequest__Output as _espalier_v1_ImportAuthorityRequest__Output } from './espalier/v1/ImportAuthorityRequest.ts';
import type { Issued as _espalier_v1_Issued, Issued__Output as _espalier_v1_Issued__Output } from './espalier/v1/Issued.ts';
import type { IssuerClient as _espalier_v1_IssuerClient, IssuerDefinition as _espalier_v1_IssuerDefinition } from './espalier/v1/Issuer.ts';
import type { JoinReply as _espalier_v1_JoinReply, JoinReply__Output as _espalier_v1_JoinReply__Output } from './espalier/v1/JoinReply.ts';
import type { JoinRequest as _espalier_v1_JoinRequest, JoinRequest__Output as _espalier_v1_JoinRequest__Output } from './espalier/v1/JoinRequest.ts';
import type { JoinToken as _espalier_v1_JoinToken, JoinToken__Output as _espalier_v1_JoinToken__Output } from './espalier/v1/JoinToken.ts';
import type { ListClusterKeysRequest as _espalier_v1_ListClusterKeysRequest, ListClusterKeysRequest__Output as _espalier_v1_ListClusterKeysRequest__Output } from './espalier/v1/ListClusterKeysRequest.ts';
import type { ListEntriesRequest as _espalier_v1_ListEntriesRequest, ListEntriesRequest__Output as _espalier_v1_ListEntriesRequest__Output } from './espalier/v1/ListEntriesRequest.ts';
import type { ListRequest as _espalier_v1_ListRequest, ListRequest__Output as _espalier_v1_ListRequest__Output } from './espalier/v1/ListRequest.ts';
import type { ListRevocationsRequest as _espalier_v1_ListRevocationsRequest, ListRevocationsRequest__Output as _espalier_v1_ListRevocationsRequest__Output } from './espalier/v1/ListRevocationsRequest.ts';
import type { ObjectAsks as _espalier_v1_ObjectAsks, ObjectAsks__Output as _espalier_v1_ObjectAsks__Output } from './espalier/v1/ObjectAsks.ts';
import type { ObjectRequest as _espalier_v1_ObjectRequest, ObjectRequest__Output as _espalier_v1_ObjectRequest__Output } from './espalier/v1/ObjectRequest.ts';
import type { Operator as _espalier_v1_Operator, Operator__Output as _espalier_v1_Operator__Output } from './espalier/v1/Operator.ts';
import type { OperatorCertificate as _espalier_v1_OperatorCertificate, OperatorCertificate__Output as _espalier_v1_OperatorCertificate__Output } from './espalier/v1/OperatorCertificate.ts';
import type { OperatorChange as _espalier_v1_OperatorChange, OperatorChange__Output as _espalier_v1_OperatorChange__Output } from './espalier/v1/OperatorChange.ts';
import type { Operators as _espalier_v1_Operators, Operators__Output as _espalier_v1_Operators__Output } from './espalier/v1/Operators.ts';
import type { Reach as _espalier_v1_Reach, Reach__Output as _espalier_v1_Reach__Output } from './espalier/v1/Reach.ts';
import type { ReachedTenant as _espalier_v1_ReachedTenant, ReachedTenant__Output as _espalier_v1_ReachedTenant__Output } from './espalier/v1/ReachedTenant.ts';
import type { Refused as _espalier_v1_Refused, Refused__Output as _espalier_v1_Refused__Output } from './espalier/v1/Refused.ts';
import type { RejectClusterKeysRequest as _espalier_v1_RejectClusterKeysRequest, RejectClusterKeysRequest__Output as _espalier_v1_RejectClusterKeysRequest__Output } from './espalier/v1/RejectClusterKeysRequest.ts';
import type { RemoveClusterKeysRequest as _espalier_v1_RemoveClusterKeysRequest, RemoveClusterKeysRequest__Output as _espalier_v1_RemoveClusterKeysRequest__Output } from './espalier/v1/RemoveClusterKeysRequest.ts';
import type { Revocation as _espalier_v1_Revocation, Revocation__Output as _espalier_v1_Revocation__Output } from './espalier/v1/Revocation.ts';
import type { Revocations as _espalier_v1_Revocations, Revocations__Output as _espalier_v1_Revocations__Output } from './espalier/v1/Revocations.ts';
import type { RevokeOperatorRequest as _espalier_v1_RevokeOperatorRequest, RevokeOperatorRequest__Output as _espalier_v1_RevokeOperatorRequest__Output } from './espalier/v1/RevokeOperatorRequest.ts';
import type { RevokeProgress as _espalier_v1_RevokeProgress, RevokeProgress__Output as _espalier_v1_RevokeProgress__Output } from './espalier/v1/RevokeProgress.ts';
import type { RevokeRequest as _espalier_v1_RevokeRequest, RevokeRequest__Output as _espalier_v1_RevokeRequest__Output } from './espalier/v1/RevokeRequest.ts';
import type { Root as _espalier_v1_Root, Root__Output as _espalier_v1_Root__Output } from './espalier/v1/Root.ts';
import type { Roots as _espalier_v1_Roots, Roots__Output as _espalier_v1_Roots__Output } from './espalier/v1/Roots.ts';
import type { Rotation as _espalier_v1_Rotation, Rotation__Output as _espalier_v1_Rotation__Output } from './espalier/v1/Rotation.ts';
import type { RotationLeaves as _espalier_v1_RotationLeaves, RotationLeaves__Output as _espalier_v1_RotationLeaves__Output } from './espalier/v1/RotationLeaves.ts';
import type { RotationRequest as _espalier_v1_RotationRequest, RotationRequest__Output as _espalier_v1_RotationRequest__Output } from './espalier/v1/RotationRequest.ts';
import type { RotationRoot as _espalier_v1_RotationRoot, RotationRoot__Output as _espalier_v1_RotationRoot__Output } from './espalier/v1/RotationRoot.ts';
import type { RotationWaiting as _espalier_v1_RotationWaiting, RotationWaiting__Output as _espalier_v1_RotationWaiting__Output } from './espalier/v1/RotationWaiting.ts';
import type { Rotations as _espalier_v1_Rotations, Rotations__Output as _espalier_v1_Rotations__Output } from './espalier/v1/Rotations.ts';
import type { Serials as _espalier_v1_Serials, Serials__Output as _espalier_v1_Serials__Output } from './espalier/v1/Serials.ts';
import type { Serving as _espalier_v1_Serving, Serving__Output as _espalier_v1_Serving__Output } from './espalier/v1/Serving.ts';
import type { SetSuspendedRequest as _espalier_v1_SetSuspendedRequest, SetSuspendedRequest__Output as _espalier_v1_SetSuspendedRequest__Output } from './espalier/v1/SetSuspendedRequest.ts';
import type { ShowEntryRequest as _espalier_v1_ShowEntryRequest, ShowEntryRequest__Output as _espalier_v1_ShowEntryRequest__Output } from './espalier/v1/ShowEntryRequest.ts';
import type { SignBatch as _espalier_v1_SignBatch, SignBatch__Output as _espalier_v1_SignBatch__Output } from './espalier/v1/SignBatch.ts';
import type { SignItem as _espalier_v1_SignItem, SignItem__Output as _espalier_v1_SignItem__Output } from './espalier/v1/SignItem.ts';
import type { SignReplies as _espalier_v1_SignReplies, SignReplies__Output as _espalier_v1_SignReplies__Output } from './espalier/v1/SignReplies.ts';
import type { SignReply as _espalier_v1_SignReply, SignReply__Output as _espalier_v1_SignReply__Output } from './espalier/v1/SignReply.ts';
import type { Suspension as _espalier_v1_Suspension, Suspension__Output as _espalier_v1_Suspension__Output } from './espalier/v1/Suspension.ts';
import type { TakeAuthorityRequest as _espalier_v1_TakeAuthorityRequest, TakeAuthorityRequest__Output as _espalier_v1_TakeAuthorityRequest__Output } from './espalier/v1/TakeAuthorityRequest.ts';
import type { TakenAuthority as _espalier_v1_TakenAuthority, TakenAuthority__Output as _espalier_v1_TakenAuthority__Output } from './espalier/v1/TakenAuthority.ts';
import type { Tenant as _espalier_v1_Tenant, Tenant__Output as _espalier_v1_Tenant__Output } from './espalier/v1/Tenant.ts';
import type { TenantAuthorities as _espalier_v1_TenantAuthorities, TenantAuthorities__Output as _espalier_v1_TenantAuthorities__Output } from './espalier/v1/TenantAuthorities.ts';
import type { TenantAuthority as _espalier_v1_TenantAuthority, TenantAuthority__Output as _espalier_v1_TenantAuthority__Output } from './espalier/v1/TenantAuthority.ts';
import type { TenantTrust as _espalier_v1_TenantTrust, TenantTrust__Output as _espalier_v1_TenantTrust__Output } from './espalier/v1/TenantTrust.ts';
import type { Tenants as _espalier_v1_Tenants, Tenants__Output as _espalier_v1_Tenants__Output } from './espalier/v1/Tenants.ts';
import type { Trust as _espalier_v1_Trust, Trust__Output as _espalier_v1_Trust__Output } from './espalier/v1/Trust.ts';
import type { TrustAck as _espalier_v1_TrustAck, TrustAck__Output as _espalier_v1_TrustAck__Output } from './espalier/v1/TrustAck.ts';
import type { VerifyLedgerRequest as _espalier_v1_VerifyLedgerRequest, VerifyLedgerRequest__Output as _espalier_v1_VerifyLedgerRequest__Output } from './espalier/v1/VerifyLedgerRequest.ts';
import type { VerifyProgress as _espalier_v1_VerifyProgress, VerifyProgress__Output as _espalier_v1_VerifyProgress__Output } from './espalier/v1/VerifyProgress.ts';
import type { WorkloadAsks as _espalier_v1_WorkloadAsks, WorkloadAsks__Output as _espalier_v1_WorkloadAsks__Output } from './espalier/v1/WorkloadAsks.ts';
import type { WorkloadName as _espalier_v1_WorkloadName, WorkloadName__Output as _espalier_v1_WorkloadName__Output } from './espalier/v1/WorkloadName.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  espalier: {
    v1: {
      Acknowledgement: MessageTypeDefinition<_espalier_v1_Acknowledgement, _espalier_v1_Acknowledgement__Output>
      Act: MessageTypeDefinition<_espalier_v1_Act, _espalier_v1_Act__Output>
      Admin: SubtypeConstructor<typeof grpc.Client, _espalier_v1_AdminClient> & { service: _espalier_v1_AdminDefinition }
      ApproveClusterKeysRequest: MessageTypeDefinition<_espalier_v1_ApproveClusterKeysRequest, _espalier_v1_ApproveClusterKeysRequest__Output>
      Authority: MessageTypeDefinition<_espalier_v1_Authority, _espalier_v1_Authority__Output>
      BlastRadiusRequest: MessageTypeDefinition<_espalier_v1_BlastRadiusRequest, _espalier_v1_BlastRadiusRequest__Output>
      BringCrlRequest: MessageTypeDefinition<_espalier_v1_BringCrlRequest, _espalier_v1_BringCrlRequest__Output>
      BringRootRequest: MessageTypeDefinition<_espalier_v1_BringRootRequest, _espalier_v1_BringRootRequest__Output>
      BroughtCrl: MessageTypeDefinition<_espalier_v1_BroughtCrl, _espalier_v1_BroughtCrl__Output>
      BroughtRoot: MessageTypeDefinition<_espalier_v1_BroughtRoot, _espalier_v1_BroughtRoot__Output>
      Chain: MessageTypeDefinition<_espalier_v1_Chain, _espalier_v1_Chain__Output>
      Cluster: MessageTypeDefinition<_espalier_v1_Cluster, _espalier_v1_Cluster__Output>
      ClusterKey: MessageTypeDefinition<_espalier_v1_ClusterKey, _espalier_v1_ClusterKey__Output>
      ClusterKeys: MessageTypeDefinition<_espalier_v1_ClusterKeys, _espalier_v1_ClusterKeys__Output>
      ClusterKeysChange: MessageTypeDefinition<_espalier_v1_ClusterKeysChange, _espalier_v1_ClusterKeysChange__Output>
      Clusters: MessageTypeDefinition<_espalier_v1_Clusters, _espalier_v1_Clusters__Output>
      ConsideredRule: MessageTypeDefinition<_espalier_v1_ConsideredRule, _espalier_v1_ConsideredRule__Output>
      CreateJoinTokenRequest: MessageTypeDefinition<_espalier_v1_CreateJoinTokenRequest, _espalier_v1_CreateJoinTokenRequest__Output>
      CreateOperatorRequest: MessageTypeDefinition<_espalier_v1_CreateOperatorRequest, _espalier_v1_CreateOperatorRequest__Output>
      CreateRootRequest: MessageTypeDefinition<_espalier_v1_CreateRootRequest, _espalier_v1_CreateRootRequest__Output>
      Entry: MessageTypeDefinition<_espalier_v1_Entry, _espalier_v1_Entry__Output>
      ExplainRequest: MessageTypeDefinition<_espalier_v1_ExplainRequest, _espalier_v1_ExplainRequest__Output>
      Explanation: MessageTypeDefinition<_espalier_v1_Explanation, _espalier_v1_Explanation__Output>
      Impersonation: MessageTypeDefinition<_espalier_v1_Impersonation, _espalier_v1_Impersonation__Output>
      ImportAuthorityRequest: MessageTypeDefinition<_espalier_v1_ImportAuthorityRequest, _espalier_v1_ImportAuthorityRequest__Output>
      Issued: MessageTypeDefinition<_espalier_v1_Issued, _espalier_v1_Issued__Output>
      Issuer: SubtypeConstructor<typeof grpc.Client, _espalier_v1_IssuerClient> & { service: _espalier_v1_IssuerDefinition }
      JoinReply: MessageTypeDefinition<_espalier_v1_JoinReply, _espalier_v1_JoinReply__Output>
      JoinRequest: MessageTypeDefinition<_espalier_v1_JoinRequest, _espalier_v1_JoinRequest__Output>
      JoinToken: MessageTypeDefinition<_espalier_v1_JoinToken, _espalier_v1_JoinToken__Output>
      ListClusterKeysRequest: MessageTypeDefinition<_espalier_v1_ListClusterKeysRequest, _espalier_v1_ListClusterKeysRequest__Output>
      ListEntriesRequest: MessageTypeDefinition<_espalier_v1_ListEntriesRequest, _espalier_v1_ListEntriesRequest__Output>
      ListRequest: MessageTypeDefinition<_espalier_v1_ListRequest, _espalier_v1_ListRequest__Output>
      ListRevocationsRequest: MessageTypeDefinition<_espalier_v1_ListRevocationsRequest, _espalier_v1_ListRevocationsRequest__Output>
      ObjectAsks: MessageTypeDefinition<_espalier_v1_ObjectAsks, _espalier_v1_ObjectAsks__Output>
      ObjectRequest: MessageTypeDefinition<_espalier_v1_ObjectRequest, _espalier_v1_ObjectRequest__Output>
      Operator: MessageTypeDefinition<_espalier_v1_Operator, _espalier_v1_Operator__Output>
      OperatorCertificate: MessageTypeDefinition<_espalier_v1_OperatorCertificate, _espalier_v1_OperatorCertificate__Output>
      OperatorChange: MessageTypeDefinition<_espalier_v1_OperatorChange, _espalier_v1_OperatorChange__Output>
      Operators: MessageTypeDefinition<_espalier_v1_Operators, _espalier_v1_Operators__Output>
      Reach: MessageTypeDefinition<_espalier_v1_Reach, _espalier_v1_Reach__Output>
      ReachedTenant: MessageTypeDefinition<_espalier_v1_ReachedTenant, _espalier_v1_ReachedTenant__Output>
      Refused: MessageTypeDefinition<_espalier_v1_Refused, _espalier_v1_Refused__Output>
      RejectClusterKeysRequest: MessageTypeDefinition<_espalier_v1_RejectClusterKeysRequest, _espalier_v1_RejectClusterKeysRequest__Output>
      RemoveClusterKeysRequest: MessageTypeDefinition<_espalier_v1_RemoveClusterKeysRequest, _espalier_v1_RemoveClusterKeysRequest__Output>
      Revocation: MessageTypeDefinition<_espalier_v1_Revocation, _espalier_v1_Revocation__Output>
      Revocations: MessageTypeDefinition<_espalier_v1_Revocations, _espalier_v1_Revocations__Output>
      RevokeOperatorRequest: MessageTypeDefinition<_espalier_v1_RevokeOperatorRequest, _espalier_v1_RevokeOperatorRequest__Output>
      RevokeProgress: MessageTypeDefinition<_espalier_v1_RevokeProgress, _espalier_v1_RevokeProgress__Output>
      RevokeRequest: MessageTypeDefinition<_espalier_v1_RevokeRequest, _espalier_v1_RevokeRequest__Output>
      Root: MessageTypeDefinition<_espalier_v1_Root, _espalier_v1_Root__Output>
      Roots: MessageTypeDefinition<_espalier_v1_Roots, _espalier_v1_Roots__Output>
      Rotation: MessageTypeDefinition<_espalier_v1_Rotation, _espalier_v1_Rotation__Output>
      RotationLeaves: MessageTypeDefinition<_espalier_v1_RotationLeaves, _espalier_v1_RotationLeaves__Output>
      RotationRequest: MessageTypeDefinition<_espalier_v1_RotationRequest, _espalier_v1_RotationRequest__Output>
      RotationRoot: MessageTypeDefinition<_espalier_v1_RotationRoot, _espalier_v1_RotationRoot__Output>
      RotationWaiting: MessageTypeDefinition<_espalier_v1_RotationWaiting, _espalier_v1_RotationWaiting__Output>
      Rotations: MessageTypeDefinition<_espalier_v1_Rotations, _espalier_v1_Rotations__Output>
      Serials: MessageTypeDefinition<_espalier_v1_Serials, _espalier_v1_Serials__Output>
      Serving: MessageTypeDefinition<_espalier_v1_Serving, _espalier_v1_Serving__Output>
      SetSuspendedRequest: MessageTypeDefinition<_espalier_v1_SetSuspendedRequest, _espalier_v1_SetSuspendedRequest__Output>
      ShowEntryRequest: MessageTypeDefinition<_espalier_v1_ShowEntryRequest, _espalier_v1_ShowEntryRequest__Output>
      SignBatch: MessageTypeDefinition<_espalier_v1_SignBatch, _espalier_v1_SignBatch__Output>
      SignItem: MessageTypeDefinition<_espalier_v1_SignItem, _espalier_v1_SignItem__Output>
      SignReplies: MessageTypeDefinition<_espalier_v1_SignReplies, _espalier_v1_SignReplies__Output>
      SignReply: MessageTypeDefinition<_espalier_v1_SignReply, _espalier_v1_SignReply__Output>
      Suspension: MessageTypeDefinition<_espalier_v1_Suspension, _espalier_v1_Suspension__Output>
      TakeAuthorityRequest: MessageTypeDefinition<_espalier_v1_TakeAuthorityRequest, _espalier_v1_TakeAuthorityRequest__Output>
      TakenAuthority: MessageTypeDefinition<_espalier_v1_TakenAuthority, _espalier_v1_TakenAuthority__Output>
      Tenant: MessageTypeDefinition<_espalier_v1_Tenant, _espalier_v1_Tenant__Output>
      TenantAuthorities: MessageTypeDefinition<_espalier_v1_TenantAuthorities, _espalier_v1_TenantAuthorities__Output>
      TenantAuthority: MessageTypeDefinition<_espalier_v1_TenantAuthority, _espalier_v1_TenantAuthority__Output>
      TenantTrust: MessageTypeDefinition<_espalier_v1_TenantTrust, _espalier_v1_TenantTrust__Output>
      Tenants: MessageTypeDefinition<_espalier_v1_Tenants, _espalier_v1_Tenants__Output>
      Trust: MessageTypeDefinition<_espalier_v1_Trust, _espalier_v1_Trust__Output>
      TrustAck: MessageTypeDefinition<_espalier_v1_TrustAck, _espalier_v1_TrustAck__Output>
      VerifyLedgerRequest: MessageTypeDefinition<_espalier_v1_VerifyLedgerRequest, _espalier_v1_VerifyLedgerRequest__Output>
      VerifyProgress: MessageTypeDefinition<_espalier_v1_VerifyProgress, _espalier_v1_VerifyProgress__Output>
      WorkloadAsks: MessageTypeDefinition<_espalier_v1_WorkloadAsks, _espalier_v1_WorkloadAsks__Output>
      WorkloadName: MessageTypeDefinition<_espalier_v1_WorkloadName, _espalier_v1_WorkloadName__Output>
    }
  }
}

