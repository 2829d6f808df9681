/** What a cluster's agent and istiod may serve with. */

/** What of a MeshCluster this needs. */
export interface ServingCluster {
  readonly servingNames: readonly string[];
}

/** The DNS names its MeshCluster lists, all and exactly; nothing from the request. */
export function decideServing(cluster: ServingCluster): readonly string[] {
  return cluster.servingNames;
}
