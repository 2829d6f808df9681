/**
 * Plays a Kubernetes cluster for somebody who has none: a folder with its JWKS, its agent's token and a token for each workload.
 *
 *   node test/support/pretend-cluster.ts <folder> <hub> <namespace>/<account>...
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createTokenIssuer } from "./kubernetes.ts";

const [folder, hub, ...workloads] = process.argv.slice(2);
if (folder === undefined || hub === undefined || workloads.length === 0) {
  console.error("usage: pretend-cluster.ts <folder> <hub> <namespace>/<account>...");
  process.exit(2);
}
const cluster = createTokenIssuer(`https://kubernetes.${basename(folder)}.example`);
const put = (name: string, text: string): void => writeFileSync(join(folder, name), `${text}\n`, { mode: 0o600 });

mkdirSync(folder, { recursive: true });
put("jwks.json", JSON.stringify(cluster.jwks));
put(
  "agent.token",
  cluster.token({ namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${hub}` }),
);
for (const workload of workloads) {
  const [namespace = "", serviceAccount = ""] = workload.split("/");
  put(`${serviceAccount}.token`, cluster.token({ namespace, serviceAccount, expiresInSeconds: 86_400 }));
}
