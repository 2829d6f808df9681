/** `MeshTenant`: who certificates belong to, and the rules for which workloads are its own. */
import * as z from "zod";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { profiles } from "../pki/profile.ts";
import type { Tenant } from "../policy/rule.ts";
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
import { requests } from "./requests.ts";
import { distinctNames, holds, immutable } from "./rule.ts";

/** How much one may have; each issuer replica counts for itself. */
export interface QuotaLimits {
  /** Certificates for one identity by one token in an hour. */
  readonly perTokenHour: number;
  /** Certificates of the whole tenant; missing for no limit. */
  readonly rate?: { readonly perSecond: number; readonly burst: number } | undefined;
  /** Certificates of the whole tenant that have not ended; missing for no limit. */
  readonly liveCertificates?: number | undefined;
}

export interface MeshTenant extends Tenant {
  readonly authority: { readonly algorithm: KeyAlgorithm; readonly validityDays: number };
  readonly renewal: { readonly unboundDays: number };
  readonly quotas: QuotaLimits;
  /** Missing where it has none. */
  readonly crl?: { readonly nextUpdateDays: number } | undefined;
}

const daySeconds = 86_400;
const cap = profiles.workload.validitySecondsCap;

const clusters = holds(z.array(clusterPattern).min(1).max(256), {
  says: "* stands alone: it is every cluster",
  cel: "!('*' in self) || size(self) == 1",
  check: (clusters, broken) => {
    if (clusters.includes("*") && clusters.length > 1) broken();
  },
});

const ruleFields = z
  .strictObject({
    name: name.describe("A DNS label, unique in this tenant. The ledger says which rule decided."),
    clusters: clusters.describe(
      "The MeshClusters the workload may be in, by name; or * alone for all, also those declared later.",
    ),
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
        "What is taken as proof of who asks: token, impersonated (a ztunnel's word), certificate (a VM's renewal), request (the namespace's own users; only in rules for all accounts) or requester:<namespace>/<service account> (the word of one of the MeshCluster's requesters). Default token.",
      ),
  })
  .describe(
    "Workloads of these clusters, namespaces and accounts are this tenant's, when they prove it in one of these ways.",
  );

// Else a namespace's user could name, in a request that proves no account, one this rule singles out.
const rule = holds(ruleFields, {
  says: 'the proof "request" proves no account, so its rule must be for all (serviceAccounts: ["*"])',
  cel: "!('request' in self.proofs) || '*' in self.serviceAccounts",
  field: ".proofs",
  check: ({ proofs, serviceAccounts }, broken) => {
    if (proofs.includes("request") && !serviceAccounts.includes("*")) broken(["proofs", proofs.indexOf("request")]);
  },
});

const validityFields = z
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
  .describe("How long workload certificates are valid.");

const validity = holds(
  validityFields,
  {
    says: "is more than maximumSeconds",
    cel: "self.minimumSeconds <= self.maximumSeconds",
    field: ".minimumSeconds",
    check: ({ minimumSeconds, maximumSeconds }, broken) => {
      if (minimumSeconds > maximumSeconds) broken(undefined, `, ${maximumSeconds}`);
    },
  },
  {
    says: "is less than minimumSeconds",
    cel: "self.minimumSeconds > self.maximumSeconds || self.defaultSeconds >= self.minimumSeconds",
    field: ".defaultSeconds",
    check: ({ defaultSeconds, minimumSeconds, maximumSeconds }, broken) => {
      if (minimumSeconds <= maximumSeconds && defaultSeconds < minimumSeconds) broken(undefined, `, ${minimumSeconds}`);
    },
  },
  {
    says: "is more than maximumSeconds",
    cel: "self.minimumSeconds > self.maximumSeconds || self.defaultSeconds <= self.maximumSeconds",
    field: ".defaultSeconds",
    check: ({ defaultSeconds, minimumSeconds, maximumSeconds }, broken) => {
      if (minimumSeconds <= maximumSeconds && defaultSeconds > maximumSeconds) broken(undefined, `, ${maximumSeconds}`);
    },
  },
).prefault({});

const rateFields = z.strictObject({
  perSecond: z.int().min(1).max(1_000_000).describe("Certificates a second, in the long run."),
  burst: z
    .int()
    .min(1)
    .max(10_000_000)
    .describe("Certificates at once, as when all its workloads start. At least perSecond."),
});

const rate = holds(rateFields, {
  says: "is less than perSecond",
  cel: "self.burst >= self.perSecond",
  field: ".burst",
  check: ({ burst, perSecond }, broken) => {
    if (burst < perSecond) broken(undefined, `, ${perSecond}`);
  },
});

const specFields = z
  .strictObject({
    trustDomain: immutable(trustDomain).describe(
      "The trust domain of its identities, spiffe://<trustDomain>/ns/<namespace>/sa/<account>. Cannot be changed, nor declared anew as another while certificates of the first are out.",
    ),
    root: immutable(name.describe("The TrustRoot its authorities are under, by name. Cannot be changed.")),
    authority: z
      .strictObject({
        algorithm: algorithm
          .default("P-256")
          .describe(
            "The key of its authorities. Default P-256. Another one makes a successor, which signs ten minutes later.",
          ),
        validityDays: days(1, 1825)
          .default(365)
          .describe("How long an authority is valid, in days, 1 to 1825. Default 365. Counts from the next one on."),
      })
      .prefault({})
      .describe("The authorities that sign its certificates."),
    rules: distinctNames(z.array(rule).min(1).max(256), "rule of this tenant").describe(
      "Which workloads are this tenant's. No rule, no certificate.",
    ),
    profiles: z.strictObject({ workload: validity }).prefault({}).describe("Limits for each kind of certificate."),
    requests: requests.optional(),
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
        rate: rate
          .optional()
          .describe("How many certificates the tenant gets. Default no limit; the queue is fair without one."),
        liveCertificates: z
          .int()
          .min(1)
          .max(10_000_000)
          .optional()
          .describe(
            "How many of its certificates may be live at once, each until it ends; workloads renew at half of that, and so have two. Default no limit.",
          ),
      })
      .prefault({})
      .describe("How much it may have; each issuer replica counts for itself."),
    crl: z
      .strictObject({
        nextUpdateDays: days(2, 365)
          .default(30)
          .describe("How long a CRL counts, in days, 2 to 365: Envoy refuses all peers after that. Default 30."),
      })
      .optional()
      .describe(
        "Present, though empty: CRLs of every CA that its peers may have above them. Pods that started before do not read them. Default none.",
      ),
    suspended: z
      .boolean()
      .default(false)
      .describe("True: no certificates for this tenant until it is false again. Default false."),
  })
  .describe("Trust domain, root, rules and limits.");

// Its successor takes over while it can still give full-length certificates, so it must live well longer than they do.
const spec = holds(
  specFields,
  {
    says: "is less than twice profiles.workload.maximumSeconds",
    cel: `self.authority.validityDays * ${daySeconds} >= 2 * self.profiles.workload.maximumSeconds`,
    field: ".authority.validityDays",
    check: ({ authority, profiles: { workload } }, broken) => {
      if (authority.validityDays * daySeconds < 2 * workload.maximumSeconds)
        broken(undefined, `, ${workload.maximumSeconds} s`);
    },
  },
  {
    says: "is less than twice requests.maximumSeconds",
    cel: `!has(self.requests) || self.authority.validityDays * ${daySeconds} >= 2 * self.requests.maximumSeconds`,
    field: ".authority.validityDays",
    check: ({ authority, requests }, broken) => {
      if (requests !== undefined && authority.validityDays * daySeconds < 2 * requests.maximumSeconds)
        broken(undefined, `, ${requests.maximumSeconds} s`);
    },
  },
  {
    says: "is less than twice requests.authorities.maximumSeconds",
    cel: `!has(self.requests) || !has(self.requests.authorities) || self.authority.validityDays * ${daySeconds} >= 2 * self.requests.authorities.maximumSeconds`,
    field: ".authority.validityDays",
    check: ({ authority, requests }, broken) => {
      const { maximumSeconds } = requests?.authorities ?? {};
      if (maximumSeconds !== undefined && authority.validityDays * daySeconds < 2 * maximumSeconds)
        broken(undefined, `, ${maximumSeconds} s`);
    },
  },
);

export const meshTenantSchema = resource(
  "MeshTenant",
  "Who certificates belong to: a trust domain, and rules for which workloads are its own.",
  spec,
);

/** The tenant as the rest of the code knows it. */
export function toMeshTenant({ metadata, spec }: z.infer<typeof meshTenantSchema>): MeshTenant {
  return {
    name: metadata.name,
    ...spec,
    rules: spec.rules.map((rule) => ({ ...rule, proofs: rule.proofs.filter(isProofKind) })),
  };
}

const proofPattern = new RegExp(`^(?:${proofGrammar})$`);

function isProofKind(text: string): text is ProofKind {
  return proofPattern.test(text);
}
