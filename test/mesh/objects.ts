/** What the stage's clusters are told in Istio's own objects. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { applyObject } from "../../src/kube/apply.ts";
import { isRecord, recordAt, someTextAt } from "../../src/kube/json.ts";
import { createObject } from "../../src/kube/objects.ts";
import { type Resource, toApiVersion } from "../../src/kube/resource.ts";
import { eventually } from "../support/patience.ts";
import { programs } from "./istio.ts";
import { type Cluster, spiffeId, type Workload } from "./stage.ts";

const networking = { group: "networking.istio.io", version: "v1", namespaced: true } as const;
const security = { group: "security.istio.io", version: "v1", namespaced: true } as const;
const kinds = {
  Sidecar: { ...networking, kind: "Sidecar", plural: "sidecars" },
  ServiceEntry: { ...networking, kind: "ServiceEntry", plural: "serviceentries" },
  PeerAuthentication: { ...security, kind: "PeerAuthentication", plural: "peerauthentications" },
  AuthorizationPolicy: { ...security, kind: "AuthorizationPolicy", plural: "authorizationpolicies" },
} as const satisfies Record<string, Resource>;
type Kind = keyof typeof kinds;

const definitions: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

/** Those of Istio's kinds that the stage uses, as its base chart has them; an API server takes seconds for all. */
export async function installDefinitions({ kube }: Cluster): Promise<void> {
  const text = readFileSync(join(programs.source, "manifests/charts/base/files/crd-all.gen.yaml"), "utf8");
  for (const one of parseAllDocuments(text)) {
    const definition: unknown = one.toJS();
    if (!isRecord(definition)) continue;
    const kind = someTextAt(recordAt(recordAt(definition, "spec"), "names"), "kind");
    const name = someTextAt(recordAt(definition, "metadata"), "name");
    if (kind in kinds) await applyObject(kube.client, definitions, { name }, definition, { deadlineMs: 60_000 });
  }
}

async function declare({ kube }: Cluster, kind: Kind, namespace: string, name: string, spec: object): Promise<void> {
  const resource = kinds[kind];
  const object = { apiVersion: toApiVersion(resource), kind, metadata: { name, namespace }, spec };
  // A kind that was defined a moment ago is not served yet.
  await eventually(async () => await createObject(kube.client, resource, { namespace }, object));
}

export interface Listener {
  /** Of loopback. */
  readonly port: number;
  /** Where the application is, a port of loopback. */
  readonly application: number;
}

/** The Envoys of this namespace take mutual TLS on the port, from callers of their own trust domain, and let only one of them through. */
export async function declareServing(
  cluster: Cluster,
  namespace: string,
  { port, application }: Listener,
  allowed: Workload,
): Promise<void> {
  await declare(cluster, "PeerAuthentication", "istio-system", "default", { mtls: { mode: "STRICT" } });
  await declare(cluster, "AuthorizationPolicy", namespace, "callers", {
    action: "ALLOW",
    rules: [{ from: [{ source: { principals: [spiffeId(allowed).replace("spiffe://", "")] } }] }],
  });
  await declare(cluster, "Sidecar", namespace, "default", {
    ingress: [
      {
        port: { number: port, protocol: "HTTP", name: "http" },
        bind: "127.0.0.1",
        captureMode: "NONE",
        defaultEndpoint: `127.0.0.1:${application}`,
      },
    ],
    egress: [{ hosts: ["./*"] }],
  });
}

/** A host that the Envoys of a namespace call, and whom they expect there. */
export interface Host {
  readonly name: string;
  /** Where an application calls it, a port of loopback. */
  readonly from: number;
  /** Where it is, a port of loopback. */
  readonly to: number;
  readonly expected: string;
}

/** As services of another cluster. */
export async function declareCalling(cluster: Cluster, namespace: string, hosts: readonly Host[]): Promise<void> {
  for (const { name, from, to, expected } of hosts) {
    await declare(cluster, "ServiceEntry", namespace, name, {
      hosts: [name],
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      ports: [{ number: from, name: "http", protocol: "HTTP" }],
      // What istiod itself puts on the pods that have an Envoy.
      endpoints: [{ address: "127.0.0.1", ports: { http: to }, labels: { "security.istio.io/tlsMode": "istio" } }],
      subjectAltNames: [expected],
    });
  }
  await declare(cluster, "Sidecar", namespace, "default", {
    egress: hosts.map(({ name, from }) => ({
      port: { number: from, protocol: "HTTP", name: `http-${from}` },
      bind: "127.0.0.1",
      captureMode: "NONE",
      hosts: [`./${name}`],
    })),
  });
}
