// Original file: proto/espalier/v1/issuer.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { JoinReply as _espalier_v1_JoinReply, JoinReply__Output as _espalier_v1_JoinReply__Output } from '../../espalier/v1/JoinReply.ts';
import type { JoinRequest as _espalier_v1_JoinRequest, JoinRequest__Output as _espalier_v1_JoinRequest__Output } from '../../espalier/v1/JoinRequest.ts';
import type { SignBatch as _espalier_v1_SignBatch, SignBatch__Output as _espalier_v1_SignBatch__Output } from '../../espalier/v1/SignBatch.ts';
import type { SignReplies as _espalier_v1_SignReplies, SignReplies__Output as _espalier_v1_SignReplies__Output } from '../../espalier/v1/SignReplies.ts';
import type { Trust as _espalier_v1_Trust, Trust__Output as _espalier_v1_Trust__Output } from '../../espalier/v1/Trust.ts';
import type { TrustAck as _espalier_v1_TrustAck, TrustAck__Output as _espalier_v1_TrustAck__Output } from '../../espalier/v1/TrustAck.ts';

export interface IssuerClient extends grpc.Client {
  Join(argument: _espalier_v1_JoinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  Join(argument: _espalier_v1_JoinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  Join(argument: _espalier_v1_JoinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  Join(argument: _espalier_v1_JoinRequest, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  join(argument: _espalier_v1_JoinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  join(argument: _espalier_v1_JoinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  join(argument: _espalier_v1_JoinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  join(argument: _espalier_v1_JoinRequest, callback: grpc.requestCallback<_espalier_v1_JoinReply__Output>): grpc.ClientUnaryCall;
  
  Sign(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_SignBatch, _espalier_v1_SignReplies__Output>;
  Sign(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_SignBatch, _espalier_v1_SignReplies__Output>;
  sign(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_SignBatch, _espalier_v1_SignReplies__Output>;
  sign(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_SignBatch, _espalier_v1_SignReplies__Output>;
  
  SignOnce(argument: _espalier_v1_SignBatch, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  SignOnce(argument: _espalier_v1_SignBatch, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  SignOnce(argument: _espalier_v1_SignBatch, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  SignOnce(argument: _espalier_v1_SignBatch, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  signOnce(argument: _espalier_v1_SignBatch, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  signOnce(argument: _espalier_v1_SignBatch, metadata: grpc.Metadata, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  signOnce(argument: _espalier_v1_SignBatch, options: grpc.CallOptions, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  signOnce(argument: _espalier_v1_SignBatch, callback: grpc.requestCallback<_espalier_v1_SignReplies__Output>): grpc.ClientUnaryCall;
  
  Watch(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_TrustAck, _espalier_v1_Trust__Output>;
  Watch(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_TrustAck, _espalier_v1_Trust__Output>;
  watch(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_TrustAck, _espalier_v1_Trust__Output>;
  watch(options?: grpc.CallOptions): grpc.ClientDuplexStream<_espalier_v1_TrustAck, _espalier_v1_Trust__Output>;
  
}

export interface IssuerHandlers extends grpc.UntypedServiceImplementation {
  Join: grpc.handleUnaryCall<_espalier_v1_JoinRequest__Output, _espalier_v1_JoinReply>;
  
  Sign: grpc.handleBidiStreamingCall<_espalier_v1_SignBatch__Output, _espalier_v1_SignReplies>;
  
  SignOnce: grpc.handleUnaryCall<_espalier_v1_SignBatch__Output, _espalier_v1_SignReplies>;
  
  Watch: grpc.handleBidiStreamingCall<_espalier_v1_TrustAck__Output, _espalier_v1_Trust>;
  
}

export interface IssuerDefinition extends grpc.ServiceDefinition {
  Join: MethodDefinition<_espalier_v1_JoinRequest, _espalier_v1_JoinReply, _espalier_v1_JoinRequest__Output, _espalier_v1_JoinReply__Output>
  Sign: MethodDefinition<_espalier_v1_SignBatch, _espalier_v1_SignReplies, _espalier_v1_SignBatch__Output, _espalier_v1_SignReplies__Output>
  SignOnce: MethodDefinition<_espalier_v1_SignBatch, _espalier_v1_SignReplies, _espalier_v1_SignBatch__Output, _espalier_v1_SignReplies__Output>
  Watch: MethodDefinition<_espalier_v1_TrustAck, _espalier_v1_Trust, _espalier_v1_TrustAck__Output, _espalier_v1_Trust__Output>
}
