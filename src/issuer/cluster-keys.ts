/** Which keys sign which cluster's tokens. A key belongs to one cluster; who could publish another's would speak for it. */
import type { ClusterKey } from "../ledger/state.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import { type Jwk, readJwk, toJwk } from "../token/jwk.ts";

export interface KeySources {
  readonly clusters: Iterable<MeshCluster>;
  /** By joins and approvals. */
  readonly registered: readonly ClusterKey[];
  /** What a cluster's address shows, or showed last; empty until it was fetched once. */
  readonly fetched: (cluster: string) => readonly Jwk[];
  /** Thumbprints of the fetched keys that were in force until now. */
  readonly held: (cluster: string) => ReadonlySet<string>;
}

/** A key that two clusters come with. It counts for neither, or for the one whose claim is the stronger or the older. */
export interface DisputedKey {
  readonly thumbprint: string;
  readonly cluster: string;
  readonly others: string;
}

/**
 * Declared claims beat registered ones, and registered beat fetched ones: a cluster's own word must not take a key from a cluster
 * that an operator gave it to. Of two equal claims the one that was in force counts: a cluster that copies another's public
 * keys to its own address must not stop it. Of two new ones neither counts.
 */
export function toClusterKeys({ clusters, registered, fetched, held }: KeySources): {
  readonly keys: ReadonlyMap<string, readonly Jwk[]>;
  readonly disputed: readonly DisputedKey[];
} {
  const claims = [...clusters].map((cluster) => claimOf(cluster, registered, fetched));
  const claimants = new Map<string, Claim[]>();
  for (const claim of claims) {
    for (const { thumbprint } of claim.keys) claimants.set(thumbprint, [...(claimants.get(thumbprint) ?? []), claim]);
  }
  const disputed: DisputedKey[] = [];
  const keys = new Map<string, readonly Jwk[]>();
  for (const claim of claims) {
    const own = claim.keys.filter(({ thumbprint }) => {
      const rank = ({ cluster, strength }: Claim): number => strength * 2 + Number(held(cluster).has(thumbprint));
      const others = (claimants.get(thumbprint) ?? []).filter((other) => other !== claim && rank(other) >= rank(claim));
      if (others.length === 0) return true;
      disputed.push({ thumbprint, cluster: claim.cluster, others: others.map((other) => other.cluster).join(", ") });
      return false;
    });
    keys.set(claim.cluster, own);
  }
  return { keys, disputed };
}

interface Claim {
  readonly cluster: string;
  readonly strength: number;
  readonly keys: readonly Jwk[];
}

function claimOf(
  { name, tokens }: MeshCluster,
  registered: readonly ClusterKey[],
  fetched: KeySources["fetched"],
): Claim {
  switch (tokens.keys.kind) {
    case "static":
      return { cluster: name, strength: 3, keys: tokens.keys.keys };
    case "joined":
    case "proposed":
      return {
        cluster: name,
        strength: 2,
        keys: registered.filter((key) => key.cluster === name).map(toStoredJwk),
      };
    case "url":
      return { cluster: name, strength: 1, keys: fetched(name) };
  }
}

/** A key of the database. */
export function toStoredJwk({ jwk }: ClusterKey): Jwk {
  return readJwk(JSON.parse(jwk));
}

export function toStored(cluster: string, key: Jwk): ClusterKey {
  return { cluster, keyThumbprint: key.thumbprint, jwk: JSON.stringify(toJwk(key)) };
}
