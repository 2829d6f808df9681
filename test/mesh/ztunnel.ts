/** test/peers judges what ztunnels get: its Go client is as strict as they are about TLS, and checks each certificate. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { rootsIn, tokenOf } from "./kubelet.ts";
import { istiodName, planes, type Stage, spiffeId, type Workload, workloads, ztunnel } from "./stage.ts";

/** Compiled by test/mesh/run. */
const judge = process.env["ESPALIER_PEERS_TEST"] ?? "";

export async function judgeZtunnels(stage: Stage): Promise<void> {
  const endpoints = join(stage.folder("ztunnel"), "endpoints.json");
  writeFileSync(endpoints, JSON.stringify(await toEndpoints(stage)));
  const args = [
    "-test.v",
    "-test.count=1",
    "-test.run=^(TestAClientAsStrictAsZtunnel|TestZtunnelGetsThePodsOfItsNode)$",
  ];
  const env = { PATH: process.env["PATH"], ESPALIER_ENDPOINTS: endpoints };
  const { stdout } = await promisify(execFile)(judge, args, { env });
  // A skipped test ends well, too.
  assert.equal(stdout.match(/^--- PASS: Test/gm)?.length, 2, stdout);
}

async function toEndpoints(stage: Stage): Promise<object> {
  const directory = stage.folder("ztunnel");
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const pods = Object.values<Workload>(workloads).filter(({ pod }) => pod !== undefined);
  const clusters: Record<string, object> = {};
  const asking: object[] = [];
  const asked: object[] = [];
  for (const cluster of Object.values(stage.clusters)) {
    const { name, agent } = cluster;
    const rootFile = write(`${name}-root.pem`, await rootsIn(cluster, "shop"));
    clusters[name] = { agent, servingRootFile: rootFile, servingNames: [istiodName(planes[name])] };
    const here = pods.filter((one) => one.cluster === name && one.node === undefined);
    asking.push({
      cluster: name,
      tokenFile: write(`${name}-ztunnel-token`, await tokenOf(cluster, ztunnel)),
      onNode: here.map(spiffeId),
      elsewhere: pods.filter((one) => !here.includes(one)).map(spiffeId),
    });
    for (const one of here) {
      const tokenFile = write(`${one.account}-token`, await tokenOf(cluster, one));
      asked.push({ cluster: name, agent, rootFile, tokenFile, spiffeId: spiffeId(one) });
    }
  }
  return { hub: { address: stage.hub }, clusters, workloads: asked, ztunnels: asking };
}
