/**
 * An agent's counts once more, under the names that istiod's own CA has for them (istio security/pkg/server/ca/monitoring.go): its
 * dashboards and alerts go on. All of them follow from ours, here and nowhere else.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { RefusalCode } from "../errors.ts";

export interface IstioMetrics {
  issued(): void;
  refused(code: RefusalCode): void;
  /** Read when the metrics are scraped; undefined shows nothing, as istiod before it has a certificate. */
  ends(read: Ends): void;
}

export interface Ends {
  /** Of the first root to end. */
  readonly root: () => Date | undefined;
  /** Of the first authority to end. */
  readonly chain: () => Date | undefined;
  readonly now: () => Date;
}

type Kind = "authentication" | "csr" | "identity" | "policy" | "outage" | "fault";

const kinds: Readonly<Record<RefusalCode, Kind>> = {
  "proof-missing": "authentication",
  "proof-invalid": "authentication",
  "impersonation-refused": "authentication",
  malformed: "csr",
  "csr-key": "csr",
  "csr-signature": "csr",
  "identity-denied": "identity",
  "request-denied": "identity",
  "no-rule": "policy",
  "proof-not-accepted": "policy",
  "signer-denied": "policy",
  suspended: "policy",
  "not-this-caller": "policy",
  "role-missing": "policy",
  "replay-differs": "policy",
  quota: "policy",
  overloaded: "outage",
  unavailable: "outage",
  "not-ready": "outage",
  "not-found": "fault",
  config: "fault",
  internal: "fault",
};

/** Istio's values of the label `error` (security/pkg/pki/error): who refuses what cannot be signed, and who could not sign. */
const signErrors: Readonly<Record<Exclude<Kind, "authentication">, string>> = {
  csr: "CSR_ERROR",
  identity: "CSR_ERROR",
  policy: "CSR_ERROR",
  outage: "CA_NOT_READY",
  fault: "CERT_GEN_ERROR",
};

export function openIstioMetrics(registry: Registry): IstioMetrics {
  const registers = [registry];
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `citadel_server_${name}`, help, registers });
  const requests = counter("csr_count", "Requests for a certificate.");
  const unauthenticated = counter("authentication_failure_count", "Requests without a proof that counts.");
  const unparsed = counter("csr_parsing_err_count", "Requests whose CSR is malformed, weak or not its key's.");
  const misnamed = counter(
    "id_extraction_err_count",
    "Requests whose CSR names another identity than the derived one.",
  );
  const issued = counter("success_cert_issuance_count", "Certificates handed out.");
  const unsigned = new Counter({
    name: "citadel_server_csr_sign_err_count",
    help: "Other requests that got no certificate: CSR_ERROR, CA_NOT_READY or CERT_GEN_ERROR.",
    labelNames: ["error"],
    registers,
  });
  for (const error of new Set(Object.values(signErrors))) unsigned.inc({ error }, 0);
  const ends: Partial<Ends> = {};
  addEnds(registry, ends, "root", "root_cert_expiry", "the first root ends");
  addEnds(
    registry,
    ends,
    "chain",
    "cert_chain_expiry",
    "the first authority ends, of those that signed in the last day",
  );
  return {
    issued: () => {
      requests.inc();
      issued.inc();
    },
    refused: (code) => {
      requests.inc();
      const kind = kinds[code];
      if (kind === "authentication") return unauthenticated.inc();
      if (kind === "csr") unparsed.inc();
      if (kind === "identity") misnamed.inc();
      unsigned.inc({ error: signErrors[kind] });
    },
    ends: (read) => void Object.assign(ends, read),
  };
}

/** Both as a time and as the time left, as istiod has them. */
function addEnds(registry: Registry, ends: Partial<Ends>, of: "root" | "chain", name: string, what: string): void {
  const add = (suffix: string, help: string, toValue: (end: Date) => number): void => {
    const gauge: Gauge = new Gauge({
      name: `citadel_server_${name}_${suffix}`,
      help,
      registers: [],
      collect: () => {
        const end = ends[of]?.();
        if (end === undefined) gauge.remove();
        else gauge.set(toValue(end));
      },
    });
    registry.registerMetric(gauge);
  };
  const left = (end: Date): number => (end.getTime() - (ends.now?.() ?? new Date()).getTime()) / 1000;
  add("timestamp", `When ${what}, in seconds since 1970.`, (end) => end.getTime() / 1000);
  add("seconds", `How long until ${what}, in seconds; negative afterwards.`, left);
}
