/**
 * The main job, as real processes on loopback: one root, two tenants, two clusters. Says what it does and what it saw;
 * leaves demo-out/ for anybody's own tools; exits with 1 when anything it expected did not happen.
 *
 *   npm run demo              everything, under a minute
 *   npm run demo -- --keep    the same, then stays up and writes demo-out/endpoints.json
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chapters } from "./chapters.ts";
import { openReport } from "./report.ts";
import { clusterNames, openStage, type Stage, servingNames } from "./stage.ts";
import { directoryOf, spiffeId, tokenFileOf, workloads } from "./workloads.ts";

const { values } = parseArgs({
  options: { keep: { type: "boolean", default: false }, out: { type: "string", default: "demo-out" } },
});
const report = openReport((text) => void process.stdout.write(text));
const started = Date.now();

await using stage = await openStage(values.out);
for (const chapter of chapters) {
  report.chapter(chapter.title);
  await chapter.tell(stage, report);
}
const seconds = Math.round((Date.now() - started) / 1000);
if (report.failures.length > 0) {
  process.stdout.write(
    `\n${report.failures.length} of what was expected did not happen:\n${report.failures.map((f) => `  ${f}\n`).join("")}`,
  );
  process.exitCode = 1;
} else {
  process.stdout.write(
    `\nAll of it happened, in ${seconds} s. Look for yourself:\n  openssl verify -x509_strict -CAfile ${values.out}/payments/east/checkout/root-cert.pem \\\n    -untrusted ${values.out}/payments/east/checkout/cert-chain.pem ${values.out}/payments/east/checkout/cert-chain.pem\n`,
  );
}
if (values.keep) {
  await writeFile(join(stage.out, "endpoints.json"), `${JSON.stringify(toEndpoints(stage), undefined, 2)}\n`);
  process.stdout.write(`\nStaying up; ${values.out}/endpoints.json says where. Ctrl-C ends it.\n`);
  await new Promise<void>((resolve) => process.once("SIGINT", resolve).once("SIGTERM", resolve));
}

function toEndpoints({ hubAddress, socket, clusters, ...rest }: Stage): object {
  const whole = { hubAddress, socket, clusters, ...rest };
  return {
    hub: { address: hubAddress },
    adminSocket: socket,
    clusters: Object.fromEntries(
      clusterNames.map((name) => {
        const { agent, http, rootFile } = clusters[name];
        return [name, { agent, metrics: `${http}/metrics`, servingRootFile: rootFile, servingNames }];
      }),
    ),
    workloads: workloads.map((workload) => ({
      ...workload,
      serviceAccount: workload.name,
      agent: clusters[workload.cluster].agent,
      rootFile: clusters[workload.cluster].rootFile,
      tokenFile: tokenFileOf(whole, workload),
      spiffeId: spiffeId(workload),
      directory: directoryOf(whole, workload),
    })),
  };
}
