/**
 * A second cluster of the hub that test/e2e/issuer.ts has left: ESPALIER_E2E_HUB is what runs a command where that one is. The tests go
 * on from each other, in this order.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { apply, eventually, helm, inPod, run } from "./cluster.ts";
import { agentRelease, documents, hubName, openFolder, waiting } from "./release.ts";
import { startThrough } from "./through.ts";
import { given, namespace, refused, request, start } from "./workload.ts";

const { ESPALIER_E2E_HUB: where, ESPALIER_E2E_ADDRESS: address } = process.env;
if (where === undefined || address === undefined) throw new Error("test/e2e/run says where the hub is");
const [tool = "", ...toHub] = where.split(" ");
const system = "espalier-system";
const agent = `espalier-agent.${system}.svc:15012`;
const frontend = "spiffe://shop.example/ns/shop/sa/frontend";
const stack = new AsyncDisposableStack();

before(async () => {
  for (const one of [system, "istio-system", "shop"]) await apply(namespace(one));
});
after(async () => await stack.disposeAsync());

async function atHub(program: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(tool, [...toHub, program, ...args], input);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

async function hub(...verb: readonly string[]): Promise<string> {
  const exec = ["-n", "espalier-hub", "exec", "sts/espalier-issuer", "-c", "issuer", "--", "espalier"];
  return await atHub("kubectl", [...exec, ...verb]);
}

test("a second cluster is declared at the hub, and its pods get certificates of the same tenant", async () => {
  const folder = stack.use(await openFolder());
  const both = (await documents("west")).replace("clusters: [west]", "clusters: [e2e, west]");
  await atHub("kubectl", ["apply", "-f", "-"], both);
  await atHub("kubectl", ["wait", "--for=condition=Accepted", "meshcluster/west", "--timeout=180s"]);
  await hub("root", "create", "--serving", "west", "--reason", "a second cluster");
  const hubRoot = await folder.put("hub-root.pem", await hub("root", "show", hubName));
  await passOn((await folder.put("socket", "")) + ".sock");
  const values = ["cluster=west", `issuers={${address}:15443}`];
  await helm("install", ...agentRelease({ name: "espalier-agent", namespace: system, values }, hubRoot), ...waiting);
  await start("shop/frontend");
  given(await request(agent, "shop/frontend"), frontend);
  const { stdout } = await inPod("shop", "frontend", ["cat", "/out/root-cert.pem"]);
  assert.equal(stdout, await hub("root", "show", "main"));
  assert.match(await hub("ledger", "list", "--cluster", "west"), new RegExp(frontend));
});

/** From this cluster's network to the hub's Service. */
async function passOn(socket: string): Promise<void> {
  const script = fileURLToPath(new URL("through.ts", import.meta.url));
  const there = spawn(tool, [...toHub, "node", script, socket, "espalier-issuer.espalier-hub.svc:15443"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  stack.defer(() => void there.kill());
  await once(there.stdout, "data");
  const here = await startThrough(`${address}:15443`, socket);
  stack.defer(() => void here.close());
}

test("a suspended cluster gets nothing more, and the other goes on", async () => {
  await hub("cluster", "suspend", "west", "--reason", "e2e");
  refused(await request(agent, "shop/frontend"), /suspended/);
  const pod = [
    "-n",
    "shop",
    "exec",
    "frontend",
    "--",
    "espalier",
    "request",
    "--agent",
    agent,
    "--out",
    "/out",
    "--trust-domain",
    "shop.example",
  ];
  await atHub("kubectl", [
    ...pod,
    "--ca",
    "/var/run/secrets/istio/root-cert.pem",
    "--token-file",
    "/var/run/secrets/tokens/istio-token",
  ]);
  await hub("cluster", "resume", "west", "--reason", "e2e");
  await eventually(async () => given(await request(agent, "shop/frontend"), frontend));
});
