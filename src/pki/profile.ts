/** The closed table of what a leaf may be. Names and validity come from a grant; everything else stands here. */
export type ProfileName = "workload" | "serving" | "agent" | "operator" | "issuer";

/**
 * With those that have what was asked for and given, and no template: `request` of leaves (`named-leaf.ts`), and `authority` of CA
 * certificates for others (`named-authority.ts`).
 */
export type AnyProfileName = ProfileName | "request" | "authority";

export interface Profile {
  /**
   * Whether keyEncipherment stands beside digitalSignature. It means something for RSA key transport only, and RFC 8813 section
   * 3 keeps it from EC keys; workloads have it for all keys, as Istio's own CA gives it.
   */
  readonly keyEncipherment: boolean;
  /** Extended key usages, in order. X509-SVID 4.4: an SVID with any has both. */
  readonly usages: readonly ("serverAuth" | "clientAuth")[];
  /** Exactly one URI name (a SPIFFE ID), or none. */
  readonly uri: boolean;
  /** DNS names: at least one, or none. */
  readonly dns: boolean;
  /** No certificate of this profile lives longer, whatever a resource says. Seconds, without the backdate. */
  readonly validitySecondsCap: number;
}

const day = 86_400;

/**
 * `agent` and `operator` have clientAuth alone, so neither can be served as an issuer; `serving` and `issuer` have
 * serverAuth alone, so neither can call one.
 */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  workload: {
    keyEncipherment: true,
    usages: ["serverAuth", "clientAuth"],
    uri: true,
    dns: false,
    validitySecondsCap: 90 * day,
  },
  serving: { keyEncipherment: false, usages: ["serverAuth"], uri: false, dns: true, validitySecondsCap: 90 * day },
  agent: { keyEncipherment: false, usages: ["clientAuth"], uri: true, dns: false, validitySecondsCap: day },
  // What an operator may is read for every call, and ends with a row: the certificate only says who it is.
  operator: { keyEncipherment: false, usages: ["clientAuth"], uri: true, dns: false, validitySecondsCap: 90 * day },
  issuer: { keyEncipherment: false, usages: ["serverAuth"], uri: false, dns: true, validitySecondsCap: 30 * day },
};

/** How far back NotBefore lies (Istio's ClockSkewGracePeriod), in seconds. */
export const backdateSeconds = 120;

/** The names a leaf carries: one URI or DNS names, as its profile has it. */
export interface LeafNames {
  readonly uri?: string;
  readonly dns: readonly string[];
}
