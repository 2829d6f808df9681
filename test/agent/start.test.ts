import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { startDaemon } from "../support/processes.ts";
import { makeSite } from "../support/site.ts";

test("an agent that waits for an API server that never answers ends at SIGTERM", async () => {
  using site = await makeSite();
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => void sockets.add(socket.on("error", () => {})));
  await once(mute.listen(0, "127.0.0.1"), "listening");
  const address = mute.address();
  assert.ok(typeof address === "object" && address !== null);
  writeKubeconfig(site.directory, { server: new URL(`https://127.0.0.1:${address.port}`), tls: {} });
  const config = {
    hub: "hub.example",
    cluster: "east",
    listen: "127.0.0.1:0",
    http: "127.0.0.1:0",
    issuers: ["127.0.0.1:1"],
    hubRoots: "hub-root.pem",
    tokenFile: "none",
    tokens: { issuer: "https://kubernetes.default.svc" },
    kubernetes: { kubeconfig: "kubeconfig.json", namespace: "espalier-system" },
  };
  const file = join(site.directory, "agent.yaml");
  writeFileSync(file, JSON.stringify(config));
  try {
    const asked = once(mute, "connection");
    await using agent = startDaemon(["agent", "run", "--config", file]);
    await asked;
    const begun = performance.now();
    await agent.stop("SIGTERM");
    assert.ok(performance.now() - begun < 9_000, "it waited for an answer, which is given ten seconds");
    assert.deepEqual([agent.child.exitCode, agent.child.signalCode], [0, null]);
  } finally {
    for (const socket of sockets) socket.destroy();
    mute.close();
  }
});
