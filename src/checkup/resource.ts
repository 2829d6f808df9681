/** Kinds that the checks look at and no agent does. */
import type { Resource } from "../kube/resource.ts";

const apps = { group: "apps", version: "v1", namespaced: true } as const;
const discovery = { group: "discovery.k8s.io", version: "v1", namespaced: true } as const;

export const deployments: Resource = { ...apps, plural: "deployments", kind: "Deployment" };
export const daemonSets: Resource = { ...apps, plural: "daemonsets", kind: "DaemonSet" };
export const endpointSlices: Resource = { ...discovery, plural: "endpointslices", kind: "EndpointSlice" };
export const services: Resource = { group: "", version: "v1", plural: "services", kind: "Service", namespaced: true };
