/**
 * The wire, from what `npm run proto` has made of proto/ (test/repo/proto-types.ts): reading that anew would be a good part of a start.
 * The shape of values here and in the options of the generated types is the same, or those types would lie.
 */
import grpc from "@grpc/grpc-js";
import protobuf from "protobufjs";
import type { ProtoGrpcType as AdminTypes } from "./gen/admin.ts";
import type { ProtoGrpcType as IstioTypes } from "./gen/ca.ts";
import descriptors from "./gen/descriptors.json" with { type: "json" };
import type { ProtoGrpcType as IssuerTypes } from "./gen/issuer.ts";

const shape = { longs: String, enums: String, defaults: true, oneofs: true };

// The one place that casts: what the library wrote down itself has the shape that it asks for, and what is made of it (`load`) the one
// that its own generator gave the types.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const root = protobuf.Root.fromJSON(descriptors as unknown as protobuf.INamespace);

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
function load<T>(service: string): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return grpc.makeGenericClientConstructor(toDefinition(root.lookupService(service)), service) as unknown as T;
}

export const IstioCertificateService = load<IstioTypes["istio"]["v1"]["auth"]["IstioCertificateService"]>(
  "istio.v1.auth.IstioCertificateService",
);
export const Issuer = load<IssuerTypes["espalier"]["v1"]["Issuer"]>("espalier.v1.Issuer");
export const Admin = load<AdminTypes["espalier"]["v1"]["Admin"]>("espalier.v1.Admin");

function toDefinition(service: protobuf.Service): grpc.ServiceDefinition {
  return Object.fromEntries(
    service.methodsArray.map((method) => {
      const { name, requestStream = false, responseStream = false, resolvedRequestType, resolvedResponseType } = method;
      if (resolvedRequestType === null || resolvedResponseType === null) throw new Error(`${name} is not resolved`);
      const [request, response] = [toCodec(resolvedRequestType), toCodec(resolvedResponseType)];
      return [
        name,
        {
          path: `/${service.fullName.slice(1)}/${name}`,
          originalName: name[0]?.toLowerCase() + name.slice(1),
          requestStream,
          responseStream,
          requestSerialize: request.serialize,
          requestDeserialize: request.deserialize,
          responseSerialize: response.serialize,
          responseDeserialize: response.deserialize,
        },
      ];
    }),
  );
}

function toCodec(type: protobuf.Type): {
  readonly serialize: (value: Readonly<Record<string, unknown>>) => Buffer;
  readonly deserialize: (bytes: Buffer) => object;
} {
  return {
    serialize: (value) => {
      const { buffer, byteOffset, byteLength } = type.encode(type.fromObject(value)).finish();
      return Buffer.from(buffer, byteOffset, byteLength);
    },
    deserialize: (bytes) => type.toObject(type.decode(bytes), shape),
  };
}
