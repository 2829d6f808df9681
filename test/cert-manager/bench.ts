/**
 * Certificates made at once, until cert-manager says that all are Ready: through its own CA issuer and through ours, in turn and in one run.
 * `test/cert-manager/run bench [COUNT]`; default 500.
 */

import { readConditions } from "../../src/kube/condition.ts";
import { listAt, recordAt, textAt } from "../../src/kube/json.ts";
import { until } from "../contract/kube-setting.ts";
import { clusterIssuer, type IssuerRef, makeCertificate, makeIssuer } from "./objects.ts";
import { openStage } from "./stage.ts";

const count = Number(process.argv[2] ?? 500);
const rounds = 2;
/** Of making them; cert-manager has them all within a second or two. */
const makers = 32;
const withinMs = 900_000;

const own: IssuerRef = { group: "cert-manager.io", kind: "ClusterIssuer", name: "bench" };
const ownIssuer = `
{ apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: { name: bench-root }, spec: { selfSigned: {} } }
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: { name: bench-root, namespace: cert-manager }
spec:
  isCA: true
  commonName: bench
  secretName: bench-root
  privateKey: { algorithm: ECDSA }
  issuerRef: { name: bench-root, kind: ClusterIssuer }
---
{ apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: { name: bench }, spec: { ca: { secretName: bench-root } } }
`;

await using stage = await openStage();
const agent = await stage.startAgent("bench");
await agent.ready();
stage.applyDefinitions();
await agent.daemon.event("serving CertificateRequests");
const { client } = stage.site.cluster;
const { shop: namespace } = stage.names;
await makeIssuer(client, clusterIssuer, { tenant: "shop", namespaces: [namespace] });
stage.kubectl(["apply", "-f", "-"], ownIssuer);
for (const name of ["bench-root", "bench"])
  stage.kubectl(["wait", "--for=condition=Ready", `clusterissuer/${name}`, "--timeout=120s"]);

for (let round = 1; round <= rounds; round++)
  for (const [who, issuerRef] of [
    ["cert-manager's CA issuer", own],
    ["TenantClusterIssuer", clusterIssuer],
  ] as const) {
    const seconds = await measure(`${issuerRef.kind.toLowerCase()}-${round}`, issuerRef);
    console.log(
      `round ${round}: ${who}: ${count} Certificates Ready in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(1)}/s)`,
    );
  }

async function measure(prefix: string, issuerRef: IssuerRef): Promise<number> {
  const began = performance.now();
  const left = Array.from({ length: count }, (_, at) => `${prefix}-${at}`);
  const make = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop())
      await makeCertificate(client, { namespace, name }, { issuerRef, dnsNames: ["shop.example"] });
  };
  await Promise.all(Array.from({ length: makers }, make));
  await until(`all of ${prefix}`, async () => (await readyOf(prefix)) === count, withinMs);
  return (performance.now() - began) / 1000;
}

async function readyOf(prefix: string): Promise<number> {
  // It is what is measured that should have the machine.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const path = `/apis/cert-manager.io/v1/namespaces/${namespace}/certificates`;
  const all = listAt(await client.call({ verb: "GET", path, bytesMax: 64 * 1024 * 1024, deadlineMs: 60_000 }), "items");
  return all.filter((one) => {
    const name = textAt(recordAt(one, "metadata"), "name") ?? "";
    return name.startsWith(`${prefix}-`) && readConditions(recordAt(one, "status")).get("Ready")?.status === "True";
  }).length;
}
