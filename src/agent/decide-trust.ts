/**
 * Trust distribution: the objects by which a cluster's pods know whom to trust for CA and XDS connections. With an external
 * CA istiod distributes nothing, and pods do not start without them. First decided, by a pure function; then applied.
 */

/** What a place says now; undefined when there is no such object. */
export type Written = string | undefined;

export interface TrustState {
  /** PEM for every namespace: the cluster's serving roots. Stable from run to run: clients compare bytes. */
  readonly rootsPem: string;
  /** PEM for istiod's own namespace: it verifies clients with that file, so the roots of its tenants are in it too. */
  readonly istiodRootsPem: string;
  readonly istiodNamespaces: ReadonlySet<string>;
}

export interface TrustSeen {
  readonly wanted: string;
  readonly now: Written;
  /** What we wrote there last, if anything. */
  readonly ours: Written;
  /** Whether an istiod whose own CA is still on writes there too. */
  readonly isIstiods: boolean;
}

export type Step =
  /** As it should be. */
  | { readonly kind: "none" }
  /** Written anew; `overwrites` when somebody else's content is in the way: a forged root harvests tokens. */
  | { readonly kind: "write"; readonly overwrites: boolean }
  /** An istiod whose own CA is still on writes here too. Two who fight help nobody. */
  | { readonly kind: "conflict" };

/**
 * What to do about one place. Only where one that istiod knows too was ours and is not any more does a living istiod distribute
 * its own root; what stands there before we came is only what it left behind.
 */
export function decideTrust({ wanted, now, ours, isIstiods }: TrustSeen): Step {
  if (now === wanted) return { kind: "none" };
  if (isIstiods && now !== undefined && ours !== undefined && now !== ours) return { kind: "conflict" };
  return { kind: "write", overwrites: now !== undefined && now !== ours };
}

/** What a selected namespace's ConfigMap is to say. */
export function wantedIn(namespace: string, { rootsPem, istiodRootsPem, istiodNamespaces }: TrustState): string {
  return istiodNamespaces.has(namespace) ? istiodRootsPem : rootsPem;
}

/** Namespaces that Istio itself leaves out (pilot namespacecontroller); kube-system is not among them. */
const leftOut = new Set(["kube-public", "kube-node-lease", "local-path-storage"]);

/** Where one ConfigMap goes: to each istiod that reads it, and to wherever that istiod has pods. */
export interface Selection {
  /** Any of them. An empty one takes all; otherwise every label must match. */
  readonly namespaceSelectors: readonly Readonly<Record<string, string>>[];
  readonly istiodNamespaces: ReadonlySet<string>;
}

/** Whether pods of these control planes may run there. */
export function isSelected(
  namespace: {
    readonly name: string;
    readonly labels: ReadonlyMap<string, string>;
    readonly deletedAt: Date | undefined;
  },
  { namespaceSelectors, istiodNamespaces }: Selection,
): boolean {
  if (leftOut.has(namespace.name) || namespace.deletedAt !== undefined) return false;
  const matches = (selector: Readonly<Record<string, string>>): boolean =>
    Object.entries(selector).every(([label, value]) => namespace.labels.get(label) === value);
  return istiodNamespaces.has(namespace.name) || namespaceSelectors.some(matches);
}
