// Original file: proto/espalier/v1/admin.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ApproveClusterKeysRequest as _espalier_v1_ApproveClusterKeysRequest, ApproveClusterKeysRequest__Output as _espalier_v1_ApproveClusterKeysRequest__Output } from '../../espalier/v1/ApproveClusterKeysRequest.ts';
import type { BlastRadiusRequest as _espalier_v1_BlastRadiusRequest, BlastRadiusRequest__Output as _espalier_v1_BlastRadiusRequest__Output } from '../../espalier/v1/BlastRadiusRequest.ts';
import type { BringCrlRequest as _espalier_v1_BringCrlRequest, BringCrlRequest__Output as _espalier_v1_BringCrlRequest__Output } from '../../espalier/v1/BringCrlRequest.ts';
import type { BringRootRequest as _espalier_v1_BringRootRequest, BringRootRequest__Output as _espalier_v1_BringRootRequest__Output } from '../../espalier/v1/BringRootRequest.ts';
import type { BroughtCrl as _espalier_v1_BroughtCrl, BroughtCrl__Output as _espalier_v1_BroughtCrl__Output } from '../../espalier/v1/BroughtCrl.ts';
import type { BroughtRoot as _espalier_v1_BroughtRoot, BroughtRoot__Output as _espalier_v1_BroughtRoot__Output } from '../../espalier/v1/BroughtRoot.ts';
import type { ClusterKeys as _espalier_v1_ClusterKeys, ClusterKeys__Output as _espalier_v1_ClusterKeys__Output } from '../../espalier/v1/ClusterKeys.ts';
import type { ClusterKeysChange as _espalier_v1_ClusterKeysChange, ClusterKeysChange__Output as _espalier_v1_ClusterKeysChange__Output } from '../../espalier/v1/ClusterKeysChange.ts';
import type { Clusters as _espalier_v1_Clusters, Clusters__Output as _espalier_v1_Clusters__Output } from '../../espalier/v1/Clusters.ts';
import type { CreateJoinTokenRequest as _espalier_v1_CreateJoinTokenRequest, CreateJoinTokenRequest__Output as _espalier_v1_CreateJoinTokenRequest__Output } from '../../espalier/v1/CreateJoinTokenRequest.ts';
import type { CreateOperatorRequest as _espalier_v1_CreateOperatorRequest, CreateOperatorRequest__Output as _espalier_v1_CreateOperatorRequest__Output } from '../../espalier/v1/CreateOperatorRequest.ts';
import type { CreateRootRequest as _espalier_v1_CreateRootRequest, CreateRootRequest__Output as _espalier_v1_CreateRootRequest__Output } from '../../espalier/v1/CreateRootRequest.ts';
import type { Entry as _espalier_v1_Entry, Entry__Output as _espalier_v1_Entry__Output } from '../../espalier/v1/Entry.ts';
import type { ExplainRequest as _espalier_v1_ExplainRequest, ExplainRequest__Output as _espalier_v1_ExplainRequest__Output } from '../../espalier/v1/ExplainRequest.ts';
import type { Explanation as _espalier_v1_Explanation, Explanation__Output as _espalier_v1_Explanation__Output } from '../../espalier/v1/Explanation.ts';
import type { ImportAuthorityRequest as _espalier_v1_ImportAuthorityRequest, ImportAuthorityRequest__Output as _espalier_v1_ImportAuthorityRequest__Output } from '../../espalier/v1/ImportAuthorityRequest.ts';
import type { JoinToken as _espalier_v1_JoinToken, JoinToken__Output as _espalier_v1_JoinToken__Output } from '../../espalier/v1/JoinToken.ts';
import type { ListClusterKeysRequest as _espalier_v1_ListClusterKeysRequest, ListClusterKeysRequest__Output as _espalier_v1_ListClusterKeysRequest__Output } from '../../espalier/v1/ListClusterKeysRequest.ts';
import type { ListEntriesRequest as _espalier_v1_ListEntriesRequest, ListEntriesRequest__Output as _espalier_v1_ListEntriesRequest__Output } from '../../espalier/v1/ListEntriesRequest.ts';
import type { ListRequest as _espalier_v1_ListRequest, ListRequest__Output as _espalier_v1_ListRequest__Output } from '../../espalier/v1/ListRequest.ts';
import type { ListRevocationsRequest as _espalier_v1_ListRevocationsRequest, ListRevocationsRequest__Output as _espalier_v1_ListRevocationsRequest__Output } from '../../espalier/v1/ListRevocationsRequest.ts';
import type { OperatorCertificate as _espalier_v1_OperatorCertificate, OperatorCertificate__Output as _espalier_v1_OperatorCertificate__Output } from '../../espalier/v1/OperatorCertificate.ts';
import type { OperatorChange as _espalier_v1_OperatorChange, OperatorChange__Output as _espalier_v1_OperatorChange__Output } from '../../espalier/v1/OperatorChange.ts';
import type { Operators as _espalier_v1_Operators, Operators__Output as _espalier_v1_Operators__Output } from '../../espalier/v1/Operators.ts';
import type { Reach as _espalier_v1_Reach, Reach__Output as _espalier_v1_Reach__Output } from '../../espalier/v1/Reach.ts';
import type { RejectClusterKeysRequest as _espalier_v1_RejectClusterKeysRequest, RejectClusterKeysRequest__Output as _espalier_v1_RejectClusterKeysRequest__Output } from '../../espalier/v1/RejectClusterKeysRequest.ts';
import type { RemoveClusterKeysRequest as _espalier_v1_RemoveClusterKeysRequest, RemoveClusterKeysRequest__Output as _espalier_v1_RemoveClusterKeysRequest__Output } from '../../espalier/v1/RemoveClusterKeysRequest.ts';
import type { Revocations as _espalier_v1_Revocations, Revocations__Output as _espalier_v1_Revocations__Output } from '../../espalier/v1/Revocations.ts';
import type { RevokeOperatorRequest as _espalier_v1_RevokeOperatorRequest, RevokeOperatorRequest__Output as _espalier_v1_RevokeOperatorRequest__Output } from '../../espalier/v1/RevokeOperatorRequest.ts';
import type { RevokeProgress as _espalier_v1_RevokeProgress, RevokeProgress__Output as _espalier_v1_RevokeProgress__Output } from '../../espalier/v1/RevokeProgress.ts';
import type { RevokeRequest as _espalier_v1_RevokeRequest, RevokeRequest__Output as _espalier_v1_RevokeRequest__Output } from '../../espalier/v1/RevokeRequest.ts';
import type { Root as _espalier_v1_Root, Root__Output as _espalier_v1_Root__Output } from '../../espalier/v1/Root.ts';
import type { Roots as _espalier_v1_Roots, Roots__Output as _espalier_v1_Roots__Output } from '../../espalier/v1/Roots.ts';
import type { Rotation as _espalier_v1_Rotation, Rotation__Output as _espalier_v1_Rotation__Output } from '../../espalier/v1/Rotation.ts';
import type { RotationRequest as _espalier_v1_RotationRequest, RotationRequest__Output as _espalier_v1_RotationRequest__Output } from '../../espalier/v1/RotationRequest.ts';
import type { Rotations as _espalier_v1_Rotations, Rotations__Output as _espalier_v1_Rotations__Output } from '../../espalier/v1/Rotations.ts';
import type { SetSuspendedRequest as _espalier_v1_SetSuspendedRequest, SetSuspendedRequest__Output as _espalier_v1_SetSuspendedRequest__Output } from '../../espalier/v1/SetSuspendedRequest.ts';
import type { ShowEntryRequest as _espalier_v1_ShowEntryRequest, ShowEntryRequest__Output as _espalier_v1_ShowEntryRequest__Output } from '../../espalier/v1/ShowEntryRequest.ts';
import type { Suspension as _espalier_v1_Suspension, Suspension__Output as _espalier_v1_Suspension__Output } from '../../espalier/v1/Suspension.ts';
import type { TakeAuthorityRequest as _espalier_v1_TakeAuthorityRequest, TakeAuthorityRequest__Output as _espalier_v1_TakeAuthorityRequest__Output } from '../../espalier/v1/TakeAuthorityRequest.ts';
import type { TakenAuthority as _espalier_v1_TakenAuthority, TakenAuthority__Output as _espalier_v1_TakenAuthority__Output } from '../../espalier/v1/TakenAuthority.ts';
import type { TenantAuthorities as _espalier_v1_TenantAuthorities, TenantAuthorities__Output as _espalier_v1_TenantAuthorities__Output } from '../../espalier/v1/TenantAuthorities.ts';
import type { Tenants as _espalier_v1_Tenants, Tenants__Output as _espalier_v1_Tenants__Output } from '../../espalier/v1/Tenants.ts';
import type { VerifyLedgerRequest as _espalier_v1_VerifyLedgerRequest, VerifyLedgerRequest__Output as _espalier_v1_VerifyLedgerRequest__Output } from '../../espalier/v1/VerifyLedgerRequest.ts';
import type { VerifyProgress as _espalier_v1_VerifyProgress, VerifyProgress__Output as _espalier_v1_VerifyProgress__Output } from '../../espalier/v1/VerifyProgress.ts';

export interface AdminClient extends grpc.Client {
  ApproveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  ApproveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  ApproveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  ApproveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  approveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  approveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  approveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  approveClusterKeys(argument: _espalier_v1_ApproveClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  
  BlastRadius(argument: _espalier_v1_BlastRadiusRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Reach__Output>;
  BlastRadius(argument: _espalier_v1_BlastRadiusRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Reach__Output>;
  blastRadius(argument: _espalier_v1_BlastRadiusRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Reach__Output>;
  blastRadius(argument: _espalier_v1_BlastRadiusRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Reach__Output>;
  
  BringCrl(argument: _espalier_v1_BringCrlRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  BringCrl(argument: _espalier_v1_BringCrlRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  BringCrl(argument: _espalier_v1_BringCrlRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  BringCrl(argument: _espalier_v1_BringCrlRequest, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  bringCrl(argument: _espalier_v1_BringCrlRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  bringCrl(argument: _espalier_v1_BringCrlRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  bringCrl(argument: _espalier_v1_BringCrlRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  bringCrl(argument: _espalier_v1_BringCrlRequest, callback: grpc.requestCallback<_espalier_v1_BroughtCrl__Output>): grpc.ClientUnaryCall;
  
  BringRoot(argument: _espalier_v1_BringRootRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  BringRoot(argument: _espalier_v1_BringRootRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  BringRoot(argument: _espalier_v1_BringRootRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  BringRoot(argument: _espalier_v1_BringRootRequest, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  bringRoot(argument: _espalier_v1_BringRootRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  bringRoot(argument: _espalier_v1_BringRootRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  bringRoot(argument: _espalier_v1_BringRootRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  bringRoot(argument: _espalier_v1_BringRootRequest, callback: grpc.requestCallback<_espalier_v1_BroughtRoot__Output>): grpc.ClientUnaryCall;
  
  ContinueRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  ContinueRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  ContinueRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  ContinueRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  continueRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  continueRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  continueRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  continueRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  
  CreateJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  CreateJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  CreateJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  CreateJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  createJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  createJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  createJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  createJoinToken(argument: _espalier_v1_CreateJoinTokenRequest, callback: grpc.requestCallback<_espalier_v1_JoinToken__Output>): grpc.ClientUnaryCall;
  
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  CreateOperator(argument: _espalier_v1_CreateOperatorRequest, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  createOperator(argument: _espalier_v1_CreateOperatorRequest, callback: grpc.requestCallback<_espalier_v1_OperatorCertificate__Output>): grpc.ClientUnaryCall;
  
  CreateRoot(argument: _espalier_v1_CreateRootRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  CreateRoot(argument: _espalier_v1_CreateRootRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  CreateRoot(argument: _espalier_v1_CreateRootRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  CreateRoot(argument: _espalier_v1_CreateRootRequest, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  createRoot(argument: _espalier_v1_CreateRootRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  createRoot(argument: _espalier_v1_CreateRootRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  createRoot(argument: _espalier_v1_CreateRootRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  createRoot(argument: _espalier_v1_CreateRootRequest, callback: grpc.requestCallback<_espalier_v1_Root__Output>): grpc.ClientUnaryCall;
  
  Explain(argument: _espalier_v1_ExplainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  Explain(argument: _espalier_v1_ExplainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  Explain(argument: _espalier_v1_ExplainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  Explain(argument: _espalier_v1_ExplainRequest, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  explain(argument: _espalier_v1_ExplainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  explain(argument: _espalier_v1_ExplainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  explain(argument: _espalier_v1_ExplainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  explain(argument: _espalier_v1_ExplainRequest, callback: grpc.requestCallback<_espalier_v1_Explanation__Output>): grpc.ClientUnaryCall;
  
  HoldRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  HoldRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  HoldRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  HoldRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  holdRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  holdRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  holdRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  holdRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  
  ImportAuthority(argument: _espalier_v1_ImportAuthorityRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  ImportAuthority(argument: _espalier_v1_ImportAuthorityRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  ImportAuthority(argument: _espalier_v1_ImportAuthorityRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  ImportAuthority(argument: _espalier_v1_ImportAuthorityRequest, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  importAuthority(argument: _espalier_v1_ImportAuthorityRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  importAuthority(argument: _espalier_v1_ImportAuthorityRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  importAuthority(argument: _espalier_v1_ImportAuthorityRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  importAuthority(argument: _espalier_v1_ImportAuthorityRequest, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  
  ListAuthorities(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  ListAuthorities(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  ListAuthorities(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  ListAuthorities(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  listAuthorities(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  listAuthorities(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  listAuthorities(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  listAuthorities(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_TenantAuthorities__Output>): grpc.ClientUnaryCall;
  
  ListClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  ListClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  ListClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  ListClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  listClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  listClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  listClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  listClusterKeys(argument: _espalier_v1_ListClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeys__Output>): grpc.ClientUnaryCall;
  
  ListClusters(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  ListClusters(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  ListClusters(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  ListClusters(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  listClusters(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  listClusters(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  listClusters(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  listClusters(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Clusters__Output>): grpc.ClientUnaryCall;
  
  ListEntries(argument: _espalier_v1_ListEntriesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Entry__Output>;
  ListEntries(argument: _espalier_v1_ListEntriesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Entry__Output>;
  listEntries(argument: _espalier_v1_ListEntriesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Entry__Output>;
  listEntries(argument: _espalier_v1_ListEntriesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_Entry__Output>;
  
  ListOperators(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  ListOperators(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  listOperators(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Operators__Output>): grpc.ClientUnaryCall;
  
  ListRevocations(argument: _espalier_v1_ListRevocationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  ListRevocations(argument: _espalier_v1_ListRevocationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  ListRevocations(argument: _espalier_v1_ListRevocationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  ListRevocations(argument: _espalier_v1_ListRevocationsRequest, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  listRevocations(argument: _espalier_v1_ListRevocationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  listRevocations(argument: _espalier_v1_ListRevocationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  listRevocations(argument: _espalier_v1_ListRevocationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  listRevocations(argument: _espalier_v1_ListRevocationsRequest, callback: grpc.requestCallback<_espalier_v1_Revocations__Output>): grpc.ClientUnaryCall;
  
  ListRoots(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  ListRoots(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  ListRoots(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  ListRoots(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  listRoots(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  listRoots(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  listRoots(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  listRoots(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Roots__Output>): grpc.ClientUnaryCall;
  
  ListRotations(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  ListRotations(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  ListRotations(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  ListRotations(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  listRotations(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  listRotations(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  listRotations(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  listRotations(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotations__Output>): grpc.ClientUnaryCall;
  
  ListTenants(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _espalier_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _espalier_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _espalier_v1_ListRequest, callback: grpc.requestCallback<_espalier_v1_Tenants__Output>): grpc.ClientUnaryCall;
  
  RejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  rejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  rejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  rejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  rejectClusterKeys(argument: _espalier_v1_RejectClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  
  RemoveClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RemoveClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RemoveClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  RemoveClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  removeClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  removeClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  removeClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  removeClusterKeys(argument: _espalier_v1_RemoveClusterKeysRequest, callback: grpc.requestCallback<_espalier_v1_ClusterKeysChange__Output>): grpc.ClientUnaryCall;
  
  Revoke(argument: _espalier_v1_RevokeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RevokeProgress__Output>;
  Revoke(argument: _espalier_v1_RevokeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RevokeProgress__Output>;
  revoke(argument: _espalier_v1_RevokeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RevokeProgress__Output>;
  revoke(argument: _espalier_v1_RevokeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_RevokeProgress__Output>;
  
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  RevokeOperator(argument: _espalier_v1_RevokeOperatorRequest, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  revokeOperator(argument: _espalier_v1_RevokeOperatorRequest, callback: grpc.requestCallback<_espalier_v1_OperatorChange__Output>): grpc.ClientUnaryCall;
  
  RollBackRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RollBackRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RollBackRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RollBackRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rollBackRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rollBackRotation(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rollBackRotation(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rollBackRotation(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  
  RotateRoot(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RotateRoot(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RotateRoot(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  RotateRoot(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rotateRoot(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rotateRoot(argument: _espalier_v1_RotationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rotateRoot(argument: _espalier_v1_RotationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  rotateRoot(argument: _espalier_v1_RotationRequest, callback: grpc.requestCallback<_espalier_v1_Rotation__Output>): grpc.ClientUnaryCall;
  
  SetSuspended(argument: _espalier_v1_SetSuspendedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  SetSuspended(argument: _espalier_v1_SetSuspendedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  SetSuspended(argument: _espalier_v1_SetSuspendedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  SetSuspended(argument: _espalier_v1_SetSuspendedRequest, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  setSuspended(argument: _espalier_v1_SetSuspendedRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  setSuspended(argument: _espalier_v1_SetSuspendedRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  setSuspended(argument: _espalier_v1_SetSuspendedRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  setSuspended(argument: _espalier_v1_SetSuspendedRequest, callback: grpc.requestCallback<_espalier_v1_Suspension__Output>): grpc.ClientUnaryCall;
  
  ShowEntry(argument: _espalier_v1_ShowEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  ShowEntry(argument: _espalier_v1_ShowEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  ShowEntry(argument: _espalier_v1_ShowEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  ShowEntry(argument: _espalier_v1_ShowEntryRequest, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  showEntry(argument: _espalier_v1_ShowEntryRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  showEntry(argument: _espalier_v1_ShowEntryRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  showEntry(argument: _espalier_v1_ShowEntryRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  showEntry(argument: _espalier_v1_ShowEntryRequest, callback: grpc.requestCallback<_espalier_v1_Entry__Output>): grpc.ClientUnaryCall;
  
  TakeAuthority(argument: _espalier_v1_TakeAuthorityRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  TakeAuthority(argument: _espalier_v1_TakeAuthorityRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  TakeAuthority(argument: _espalier_v1_TakeAuthorityRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  TakeAuthority(argument: _espalier_v1_TakeAuthorityRequest, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  takeAuthority(argument: _espalier_v1_TakeAuthorityRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  takeAuthority(argument: _espalier_v1_TakeAuthorityRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  takeAuthority(argument: _espalier_v1_TakeAuthorityRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  takeAuthority(argument: _espalier_v1_TakeAuthorityRequest, callback: grpc.requestCallback<_espalier_v1_TakenAuthority__Output>): grpc.ClientUnaryCall;
  
  VerifyLedger(argument: _espalier_v1_VerifyLedgerRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_VerifyProgress__Output>;
  VerifyLedger(argument: _espalier_v1_VerifyLedgerRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_VerifyProgress__Output>;
  verifyLedger(argument: _espalier_v1_VerifyLedgerRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_VerifyProgress__Output>;
  verifyLedger(argument: _espalier_v1_VerifyLedgerRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_espalier_v1_VerifyProgress__Output>;
  
}

export interface AdminHandlers extends grpc.UntypedServiceImplementation {
  ApproveClusterKeys: grpc.handleUnaryCall<_espalier_v1_ApproveClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange>;
  
  BlastRadius: grpc.handleServerStreamingCall<_espalier_v1_BlastRadiusRequest__Output, _espalier_v1_Reach>;
  
  BringCrl: grpc.handleUnaryCall<_espalier_v1_BringCrlRequest__Output, _espalier_v1_BroughtCrl>;
  
  BringRoot: grpc.handleUnaryCall<_espalier_v1_BringRootRequest__Output, _espalier_v1_BroughtRoot>;
  
  ContinueRotation: grpc.handleUnaryCall<_espalier_v1_RotationRequest__Output, _espalier_v1_Rotation>;
  
  CreateJoinToken: grpc.handleUnaryCall<_espalier_v1_CreateJoinTokenRequest__Output, _espalier_v1_JoinToken>;
  
  CreateOperator: grpc.handleUnaryCall<_espalier_v1_CreateOperatorRequest__Output, _espalier_v1_OperatorCertificate>;
  
  CreateRoot: grpc.handleUnaryCall<_espalier_v1_CreateRootRequest__Output, _espalier_v1_Root>;
  
  Explain: grpc.handleUnaryCall<_espalier_v1_ExplainRequest__Output, _espalier_v1_Explanation>;
  
  HoldRotation: grpc.handleUnaryCall<_espalier_v1_RotationRequest__Output, _espalier_v1_Rotation>;
  
  ImportAuthority: grpc.handleUnaryCall<_espalier_v1_ImportAuthorityRequest__Output, _espalier_v1_TakenAuthority>;
  
  ListAuthorities: grpc.handleUnaryCall<_espalier_v1_ListRequest__Output, _espalier_v1_TenantAuthorities>;
  
  ListClusterKeys: grpc.handleUnaryCall<_espalier_v1_ListClusterKeysRequest__Output, _espalier_v1_ClusterKeys>;
  
  ListClusters: grpc.handleUnaryCall<_espalier_v1_ListRequest__Output, _espalier_v1_Clusters>;
  
  ListEntries: grpc.handleServerStreamingCall<_espalier_v1_ListEntriesRequest__Output, _espalier_v1_Entry>;
  
  ListOperators: grpc.handleUnaryCall<_espalier_v1_ListRequest__Output, _espalier_v1_Operators>;
  
  ListRevocations: grpc.handleUnaryCall<_espalier_v1_ListRevocationsRequest__Output, _espalier_v1_Revocations>;
  
  ListRoots: grpc.handleUnaryCall<_espalier_v1_ListRequest__Output, _espalier_v1_Roots>;
  
  ListRotations: grpc.handleUnaryCall<_espalier_v1_RotationRequest__Output, _espalier_v1_Rotations>;
  
  ListTenants: grpc.handleUnaryCall<_espalier_v1_ListRequest__Output, _espalier_v1_Tenants>;
  
  RejectClusterKeys: grpc.handleUnaryCall<_espalier_v1_RejectClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange>;
  
  RemoveClusterKeys: grpc.handleUnaryCall<_espalier_v1_RemoveClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange>;
  
  Revoke: grpc.handleServerStreamingCall<_espalier_v1_RevokeRequest__Output, _espalier_v1_RevokeProgress>;
  
  RevokeOperator: grpc.handleUnaryCall<_espalier_v1_RevokeOperatorRequest__Output, _espalier_v1_OperatorChange>;
  
  RollBackRotation: grpc.handleUnaryCall<_espalier_v1_RotationRequest__Output, _espalier_v1_Rotation>;
  
  RotateRoot: grpc.handleUnaryCall<_espalier_v1_RotationRequest__Output, _espalier_v1_Rotation>;
  
  SetSuspended: grpc.handleUnaryCall<_espalier_v1_SetSuspendedRequest__Output, _espalier_v1_Suspension>;
  
  ShowEntry: grpc.handleUnaryCall<_espalier_v1_ShowEntryRequest__Output, _espalier_v1_Entry>;
  
  TakeAuthority: grpc.handleUnaryCall<_espalier_v1_TakeAuthorityRequest__Output, _espalier_v1_TakenAuthority>;
  
  VerifyLedger: grpc.handleServerStreamingCall<_espalier_v1_VerifyLedgerRequest__Output, _espalier_v1_VerifyProgress>;
  
}

export interface AdminDefinition extends grpc.ServiceDefinition {
  ApproveClusterKeys: MethodDefinition<_espalier_v1_ApproveClusterKeysRequest, _espalier_v1_ClusterKeysChange, _espalier_v1_ApproveClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange__Output>
  BlastRadius: MethodDefinition<_espalier_v1_BlastRadiusRequest, _espalier_v1_Reach, _espalier_v1_BlastRadiusRequest__Output, _espalier_v1_Reach__Output>
  BringCrl: MethodDefinition<_espalier_v1_BringCrlRequest, _espalier_v1_BroughtCrl, _espalier_v1_BringCrlRequest__Output, _espalier_v1_BroughtCrl__Output>
  BringRoot: MethodDefinition<_espalier_v1_BringRootRequest, _espalier_v1_BroughtRoot, _espalier_v1_BringRootRequest__Output, _espalier_v1_BroughtRoot__Output>
  ContinueRotation: MethodDefinition<_espalier_v1_RotationRequest, _espalier_v1_Rotation, _espalier_v1_RotationRequest__Output, _espalier_v1_Rotation__Output>
  CreateJoinToken: MethodDefinition<_espalier_v1_CreateJoinTokenRequest, _espalier_v1_JoinToken, _espalier_v1_CreateJoinTokenRequest__Output, _espalier_v1_JoinToken__Output>
  CreateOperator: MethodDefinition<_espalier_v1_CreateOperatorRequest, _espalier_v1_OperatorCertificate, _espalier_v1_CreateOperatorRequest__Output, _espalier_v1_OperatorCertificate__Output>
  CreateRoot: MethodDefinition<_espalier_v1_CreateRootRequest, _espalier_v1_Root, _espalier_v1_CreateRootRequest__Output, _espalier_v1_Root__Output>
  Explain: MethodDefinition<_espalier_v1_ExplainRequest, _espalier_v1_Explanation, _espalier_v1_ExplainRequest__Output, _espalier_v1_Explanation__Output>
  HoldRotation: MethodDefinition<_espalier_v1_RotationRequest, _espalier_v1_Rotation, _espalier_v1_RotationRequest__Output, _espalier_v1_Rotation__Output>
  ImportAuthority: MethodDefinition<_espalier_v1_ImportAuthorityRequest, _espalier_v1_TakenAuthority, _espalier_v1_ImportAuthorityRequest__Output, _espalier_v1_TakenAuthority__Output>
  ListAuthorities: MethodDefinition<_espalier_v1_ListRequest, _espalier_v1_TenantAuthorities, _espalier_v1_ListRequest__Output, _espalier_v1_TenantAuthorities__Output>
  ListClusterKeys: MethodDefinition<_espalier_v1_ListClusterKeysRequest, _espalier_v1_ClusterKeys, _espalier_v1_ListClusterKeysRequest__Output, _espalier_v1_ClusterKeys__Output>
  ListClusters: MethodDefinition<_espalier_v1_ListRequest, _espalier_v1_Clusters, _espalier_v1_ListRequest__Output, _espalier_v1_Clusters__Output>
  ListEntries: MethodDefinition<_espalier_v1_ListEntriesRequest, _espalier_v1_Entry, _espalier_v1_ListEntriesRequest__Output, _espalier_v1_Entry__Output>
  ListOperators: MethodDefinition<_espalier_v1_ListRequest, _espalier_v1_Operators, _espalier_v1_ListRequest__Output, _espalier_v1_Operators__Output>
  ListRevocations: MethodDefinition<_espalier_v1_ListRevocationsRequest, _espalier_v1_Revocations, _espalier_v1_ListRevocationsRequest__Output, _espalier_v1_Revocations__Output>
  ListRoots: MethodDefinition<_espalier_v1_ListRequest, _espalier_v1_Roots, _espalier_v1_ListRequest__Output, _espalier_v1_Roots__Output>
  ListRotations: MethodDefinition<_espalier_v1_RotationRequest, _espalier_v1_Rotations, _espalier_v1_RotationRequest__Output, _espalier_v1_Rotations__Output>
  ListTenants: MethodDefinition<_espalier_v1_ListRequest, _espalier_v1_Tenants, _espalier_v1_ListRequest__Output, _espalier_v1_Tenants__Output>
  RejectClusterKeys: MethodDefinition<_espalier_v1_RejectClusterKeysRequest, _espalier_v1_ClusterKeysChange, _espalier_v1_RejectClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange__Output>
  RemoveClusterKeys: MethodDefinition<_espalier_v1_RemoveClusterKeysRequest, _espalier_v1_ClusterKeysChange, _espalier_v1_RemoveClusterKeysRequest__Output, _espalier_v1_ClusterKeysChange__Output>
  Revoke: MethodDefinition<_espalier_v1_RevokeRequest, _espalier_v1_RevokeProgress, _espalier_v1_RevokeRequest__Output, _espalier_v1_RevokeProgress__Output>
  RevokeOperator: MethodDefinition<_espalier_v1_RevokeOperatorRequest, _espalier_v1_OperatorChange, _espalier_v1_RevokeOperatorRequest__Output, _espalier_v1_OperatorChange__Output>
  RollBackRotation: MethodDefinition<_espalier_v1_RotationRequest, _espalier_v1_Rotation, _espalier_v1_RotationRequest__Output, _espalier_v1_Rotation__Output>
  RotateRoot: MethodDefinition<_espalier_v1_RotationRequest, _espalier_v1_Rotation, _espalier_v1_RotationRequest__Output, _espalier_v1_Rotation__Output>
  SetSuspended: MethodDefinition<_espalier_v1_SetSuspendedRequest, _espalier_v1_Suspension, _espalier_v1_SetSuspendedRequest__Output, _espalier_v1_Suspension__Output>
  ShowEntry: MethodDefinition<_espalier_v1_ShowEntryRequest, _espalier_v1_Entry, _espalier_v1_ShowEntryRequest__Output, _espalier_v1_Entry__Output>
  TakeAuthority: MethodDefinition<_espalier_v1_TakeAuthorityRequest, _espalier_v1_TakenAuthority, _espalier_v1_TakeAuthorityRequest__Output, _espalier_v1_TakenAuthority__Output>
  VerifyLedger: MethodDefinition<_espalier_v1_VerifyLedgerRequest, _espalier_v1_VerifyProgress, _espalier_v1_VerifyLedgerRequest__Output, _espalier_v1_VerifyProgress__Output>
}
