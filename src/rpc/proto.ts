/**
 * The wire, loaded once from proto/. The options here and those in test/repo/proto-types.ts are the same, or the generated types would lie.
 */
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
import type { ProtoGrpcType as AdminTypes } from "./gen/admin.ts";
import type { ProtoGrpcType as IstioTypes } from "./gen/ca.ts";
import type { ProtoGrpcType as IssuerTypes } from "./gen/issuer.ts";

/** Where the .proto files are, in a checkout and in an installed package. */
export const protoDirectory = fileURLToPath(new URL("../../proto/", import.meta.url));

const options = { longs: String, enums: String, defaults: true, oneofs: true, includeDirs: [protoDirectory] };

// The one place that casts: what proto-loader makes has the shape that its own generator wrote down.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
function load<T>(file: string): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return grpc.loadPackageDefinition(loader.loadSync(file, options)) as unknown as T;
}

export const { IstioCertificateService } = load<IstioTypes>("istio/v1/auth/ca.proto").istio.v1.auth;
export const { Issuer } = load<IssuerTypes>("espalier/v1/issuer.proto").espalier.v1;
export const { Admin } = load<AdminTypes>("espalier/v1/admin.proto").espalier.v1;
