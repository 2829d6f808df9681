/** Istio's service as the wire has it: one handler, one log line and one count for each request. */
import { type Refusal, refusals, toRefusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { IstioCertificateServiceHandlers } from "../rpc/gen/istio/v1/auth/IstioCertificateService.ts";
import { unary } from "../rpc/server.ts";
import { type CreateCertificateParts, createCertificate } from "./create-certificate.ts";

export interface ServiceParts extends CreateCertificateParts {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly deadlineMs: number;
}

export function istioService(parts: ServiceParts): IstioCertificateServiceHandlers {
  const { cluster, metrics, now } = parts;
  return {
    // A little more than the request's own deadline, which gives the better answer.
    CreateCertificate: unary(parts.deadlineMs + 1_000, async (request, caller) => {
      const arrived = now().getTime();
      try {
        const response = await createCertificate(request, caller, parts);
        metrics.issued({ tenant: "", cluster, profile: "workload" });
        return response;
      } catch (error) {
        throw tellRefused(error, parts);
      } finally {
        metrics.answered((now().getTime() - arrived) / 1000);
      }
    }),
  };
}

/** One line and one count, also for what never became a request. */
export function tellRefused(
  error: unknown,
  { cluster, log, metrics }: Pick<ServiceParts, "cluster" | "log" | "metrics">,
): Refusal {
  const refusal = toRefusal(error);
  metrics.refused({ code: refusal.code, tenant: "", cluster });
  if (refusals[refusal.code].status === "INTERNAL") log.error("refused", { code: refusal.code }, error);
  else log.warn("refused", { code: refusal.code, message: refusal.message });
  return refusal;
}
