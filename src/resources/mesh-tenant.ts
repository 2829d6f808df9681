/** `MeshTenant`: who certificates belong to, and the rules for which workloads are its own. */
import * as z from "zod";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { profiles } from "../pki/profile.ts";
import type { Tenant, ValidityLimits } from "../policy/rule.ts";
import type { ProofKind } from "../policy/workload.ts";
import {
  accountPattern,
  algorithm,
  clusterPattern,
  days,
  name,
  namespacePattern,
  proof,
  proofGrammar,
  resource,
  trustDomain,
} from "./fields.ts";
import type { Report } from "./problem.ts";

/** How much one may have; each issuer replica counts for itself. */
export interface QuotaLimits {
  /** Certificates for one identity by one token in an hour. */
  readonly perTokenHour: number;
  /** Certificates of the whole tenant; missing for no limit. */
  readonly rate?: { readonly perSecond: number; readonly burst: number } | undefined;
}

export interface MeshTenant extends Tenant {
  /** The TrustRoot its authorities are under. */
  readonly root: string;
  readonly authority: { readonly algorithm: KeyAlgorithm; readonly validityDays: number };
  readonly renewal: { readonly unboundDays: number };
  readonly quotas: QuotaLimits;
}

const daySeconds = 86_400;
const cap = profiles.workload.validitySecondsCap;

const rule = z
  .strictObject({
    name: name.describe("A DNS label, unique in this tenant. The ledger says which rule decided."),
    clusters: z
      .array(clusterPattern)
      .min(1)
      .max(256)
      .describe("The MeshClusters the workload may be in, by name; or * alone for all, also those declared later."),
    namespaces: z
      .array(namespacePattern)
      .min(1)
      .max(1024)
      .describe("The namespaces the workload may be in: names, or a prefix and *, or * for all."),
    serviceAccounts: z
      .array(accountPattern)
      .min(1)
      .max(256)
      .default(["*"])
      .describe("The service accounts it may run as: names, or a prefix and *, or * for all. Default all."),
    proofs: z
      .array(proof)
      .min(1)
      .max(32)
      .default(["token"])
      .describe(
        "What is taken as proof of who asks: token, impersonated (a ztunnel's word), certificate (a VM's renewal), request (the namespace's own users; only in rules for all accounts) or requester:<namespace>/<service account>. Default token.",
      ),
  })
  .describe(
    "Workloads of these clusters, namespaces and accounts are this tenant's, when they prove it in one of these ways.",
  );

const validity = z
  .strictObject({
    defaultSeconds: z
      .int()
      .min(300)
      .max(cap)
      .default(daySeconds)
      .describe("Validity when the request states none, in seconds. Default 86400."),
    minimumSeconds: z
      .int()
      .min(300)
      .max(cap)
      .default(600)
      .describe(
        "Shorter requests are raised to this, in seconds, at least 300: clients renew at half and loop on less. Default 600.",
      ),
    maximumSeconds: z
      .int()
      .min(300)
      .max(cap)
      .default(daySeconds)
      .describe("Longer requests are clamped to this, in seconds, at most 7776000 (90 days). Default 86400."),
  })
  .prefault({})
  .describe("How long workload certificates are valid.");

const spec = z
  .strictObject({
    trustDomain: trustDomain.describe(
      "The trust domain of its identities, spiffe://<trustDomain>/ns/<namespace>/sa/<account>. Cannot be changed.",
    ),
    root: name.describe("The TrustRoot its authorities are under, by name."),
    authority: z
      .strictObject({
        algorithm: algorithm
          .default("P-256")
          .describe("The key of its authorities. Default P-256. Counts from the next one on."),
        validityDays: days(1, 1825)
          .default(365)
          .describe("How long an authority is valid, in days, 1 to 1825. Default 365. Counts from the next one on."),
      })
      .prefault({})
      .describe("The authorities that sign its certificates."),
    rules: z.array(rule).min(1).max(256).describe("Which workloads are this tenant's. No rule, no certificate."),
    profiles: z.strictObject({ workload: validity }).prefault({}).describe("Limits for each kind of certificate."),
    renewal: z
      .strictObject({
        unboundDays: days(1, 365)
          .default(30)
          .describe(
            "For proof certificate: how long after the token that began it a VM may go on renewing, in days. Default 30.",
          ),
      })
      .prefault({})
      .describe("Limits for renewal without a new token."),
    quotas: z
      .strictObject({
        perTokenHour: z
          .int()
          .min(1)
          .max(100_000)
          .default(600)
          .describe("How many certificates for one identity one token gets in an hour. Default 600."),
        rate: z
          .strictObject({
            perSecond: z.int().min(1).max(1_000_000).describe("Certificates a second, in the long run."),
            burst: z
              .int()
              .min(1)
              .max(10_000_000)
              .describe("Certificates at once, as when all its workloads start. At least perSecond."),
          })
          .optional()
          .describe("How many certificates the tenant gets. Default no limit; the queue is fair without one."),
      })
      .prefault({})
      .describe("How much it may have; each issuer replica counts for itself."),
    suspended: z
      .boolean()
      .default(false)
      .describe("True: no certificates for this tenant until it is false again. Default false."),
  })
  .describe("Trust domain, root, rules and limits.");

export const meshTenantSchema = resource(
  "MeshTenant",
  "Who certificates belong to: a trust domain, and rules for which workloads are its own.",
  spec,
);

/** The tenant as the rest of the code knows it; what holds between its fields is checked on the way. */
export function toMeshTenant({ metadata, spec }: z.infer<typeof meshTenantSchema>, report: Report): MeshTenant {
  checkRuleNames(spec.rules, report);
  spec.rules.forEach((rule, at) => checkRule(rule, (path, text) => report(["spec", "rules", at, ...path], text)));
  const { rate } = spec.quotas;
  if (rate !== undefined && rate.burst < rate.perSecond)
    report(["spec", "quotas", "rate", "burst"], `is less than perSecond, ${rate.perSecond}`);
  checkValidity(spec.profiles.workload, spec.authority.validityDays, report);
  return {
    name: metadata.name,
    ...spec,
    rules: spec.rules.map((rule) => ({ ...rule, proofs: rule.proofs.filter(isProofKind) })),
  };
}

function checkRuleNames(rules: readonly z.infer<typeof rule>[], report: Report): void {
  const seen = new Set<string>();
  for (const [at, { name }] of rules.entries()) {
    if (seen.has(name)) report(["spec", "rules", at, "name"], `another rule of this tenant is also called "${name}"`);
    seen.add(name);
  }
}

function checkRule({ clusters, serviceAccounts, proofs }: z.infer<typeof rule>, report: Report): void {
  if (clusters.includes("*") && clusters.length > 1) report(["clusters"], "* stands alone: it is every cluster");
  // Else a namespace's user could name, in a request that proves no account, one this rule singles out.
  if (proofs.includes("request") && !serviceAccounts.includes("*")) {
    report(
      ["proofs", proofs.indexOf("request")],
      'the proof "request" proves no account, so its rule must be for all (serviceAccounts: ["*"])',
    );
  }
}

function checkValidity(limits: ValidityLimits, authorityDays: number, report: Report): void {
  const { defaultSeconds, minimumSeconds, maximumSeconds } = limits;
  const at = (field: string) => ["spec", "profiles", "workload", field];
  if (minimumSeconds > maximumSeconds) report(at("minimumSeconds"), `is more than maximumSeconds, ${maximumSeconds}`);
  else if (defaultSeconds < minimumSeconds)
    report(at("defaultSeconds"), `is less than minimumSeconds, ${minimumSeconds}`);
  else if (defaultSeconds > maximumSeconds)
    report(at("defaultSeconds"), `is more than maximumSeconds, ${maximumSeconds}`);
  // Its successor takes over while it can still give full-length certificates, so it must live well longer than they do.
  if (authorityDays * daySeconds < 2 * maximumSeconds) {
    report(
      ["spec", "authority", "validityDays"],
      `is less than twice profiles.workload.maximumSeconds, ${maximumSeconds} s`,
    );
  }
}

const proofPattern = new RegExp(`^(?:${proofGrammar})$`);

function isProofKind(text: string): text is ProofKind {
  return proofPattern.test(text);
}
