/** Refusals as gRPC statuses, there and back. The code travels in a trailer, so that both ends count under one name. */
import grpc from "@grpc/grpc-js";
import { isRefusalCode, Refusal, type RefusalCode, refusals, type StatusName, toRefusal } from "../errors.ts";

const codeTrailer = "espalier-code";

const numbers: Readonly<Record<StatusName, grpc.status>> = {
  INVALID_ARGUMENT: grpc.status.INVALID_ARGUMENT,
  NOT_FOUND: grpc.status.NOT_FOUND,
  ALREADY_EXISTS: grpc.status.ALREADY_EXISTS,
  PERMISSION_DENIED: grpc.status.PERMISSION_DENIED,
  RESOURCE_EXHAUSTED: grpc.status.RESOURCE_EXHAUSTED,
  FAILED_PRECONDITION: grpc.status.FAILED_PRECONDITION,
  INTERNAL: grpc.status.INTERNAL,
  UNAVAILABLE: grpc.status.UNAVAILABLE,
  UNAUTHENTICATED: grpc.status.UNAUTHENTICATED,
};

/** What a server sends for an error of any kind. */
export function toStatus(error: unknown): grpc.StatusObject {
  const refusal = toRefusal(error);
  const metadata = new grpc.Metadata();
  metadata.set(codeTrailer, refusal.code);
  return { code: numbers[refusals[refusal.code].status], details: refusal.message, metadata };
}

interface Sent extends Partial<Pick<grpc.StatusObject, "code" | "details">> {
  readonly metadata?: grpc.Metadata | null | undefined;
}

/** The refusal that stands behind a status of grpc-js's own making, when the client's message was at fault; ours carry a code. */
export function readUnreadable({ code, details, metadata }: Sent): Refusal | undefined {
  if ((metadata?.get(codeTrailer).length ?? 0) > 0) return undefined;
  if (code === grpc.status.RESOURCE_EXHAUSTED) return new Refusal("malformed", "the message is too long");
  const unreadable = details === "Error deserializing request" || details === "Failed to decompress message";
  return code === grpc.status.INTERNAL && unreadable
    ? new Refusal("malformed", "the message is none of this method's")
    : undefined;
}

/** What a client makes of a failed call: the server's refusal, or `unavailable` where no server of ours answered. */
export function readStatus(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!isServiceError(error)) return new Refusal("unavailable", "the connection failed", { cause: error });
  const [sent] = error.metadata?.get(codeTrailer) ?? [];
  if (typeof sent === "string" && isRefusalCode(sent)) return new Refusal(sent, error.details);
  return new Refusal(codeOf(error.code), error.details, { cause: error });
}

function isServiceError(error: unknown): error is grpc.ServiceError {
  return error instanceof Error && "details" in error && "code" in error && typeof error.code === "number";
}

/** For a server that is not ours (Istio's CA protocol has other implementations). */
function codeOf(status: grpc.status): RefusalCode {
  switch (status) {
    case grpc.status.UNAUTHENTICATED:
      return "proof-invalid";
    case grpc.status.INVALID_ARGUMENT:
      return "malformed";
    case grpc.status.PERMISSION_DENIED:
      return "no-rule";
    case grpc.status.RESOURCE_EXHAUSTED:
      return "overloaded";
    default:
      return "unavailable";
  }
}
