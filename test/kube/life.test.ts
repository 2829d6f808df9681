import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { startMemoryApi } from "../support/kube-memory.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Runs it as a process of its own; how it ended, and how long that took. */
function run(script: string, env: Readonly<Record<string, string>> = {}) {
  const begun = performance.now();
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { env: { ...process.env, ...env } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += String(text)));
  const timer = setTimeout(() => child.kill("SIGKILL"), 90_000);
  return new Promise<{ readonly code: number | null; readonly said: string; readonly ms: number }>((resolve) => {
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, said, ms: performance.now() - begun });
    });
  });
}

const importOf = (path: string) => `await import(${JSON.stringify(pathToFileURL(join(root, path)).href)})`;

test("once all of it has stopped, nothing holds the process: no timer, no connection", async () => {
  await using api = await startMemoryApi();
  const script = `
    const { openClient } = ${importOf("src/kube/client.ts")};
    const { startInformer } = ${importOf("src/kube/informer.ts")};
    const { startElection } = ${importOf("src/kube/lease.ts")};
    const { startQueue } = ${importOf("src/kube/queue.ts")};
    const { readNamespace } = ${importOf("src/kube/meta.ts")};
    const { resources } = ${importOf("src/kube/resource.ts")};
    const { silentLog: log } = ${importOf("src/ops/log.ts")};
    const { server, ca } = JSON.parse(process.env.API);
    const credentials = { current: async () => ({ server: new URL(server), tls: { ca } }) };
    const client = openClient({ credentials });
    const parts = { client, now: () => new Date(), log };
    const informer = startInformer({ resource: resources.namespaces, read: readNamespace, indexes: {} }, parts);
    const leading = Promise.withResolvers();
    const lead = (signal) => new Promise((resolve) => { leading.resolve(); signal.addEventListener("abort", resolve); });
    const election = startElection({ namespace: "default", name: "x", identity: "a" }, { ...parts, lead });
    const queue = startQueue({ name: "x", work: async () => ({ againAfterMs: 60_000 }) }, log);
    queue.add("a");
    await Promise.all([informer.synced, leading.promise]);
    await Promise.all([informer, election, queue].map((one) => one[Symbol.asyncDispose]()));
    client[Symbol.dispose]();
    process.on("exit", () => console.log(informer.list().map(({ name }) => name).join()));
    globalThis.stoppedAt = performance.now();
    process.on("exit", () => console.log("ms", Math.round(performance.now() - stoppedAt)));
  `;
  const env = { API: JSON.stringify({ server: api.access.server.href, ca: api.access.tls.ca }) };
  const { code, said } = await run(script, env);
  assert.equal(code, 0, said);
  const [, names, ms] = /^(.*)\nms (\d+)\n$/.exec(said) ?? [];
  assert.equal(names, "default", said);
  assert.ok(Number(ms) < 10_000, said);
});

test("the package whose types we use is never loaded, neither here nor by the agent", async () => {
  const files = ["src/kube", "src/agent"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`),
  );
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve: (specifier, context, next) => {
        if (specifier.startsWith("@kubernetes/")) throw new Error(context.parentURL + " loads " + specifier);
        return next(specifier, context);
      },
    });
    ${files.map((file) => `${importOf(file)};`).join("\n")}
    console.log("loaded");
  `;
  const { code, said } = await run(script);
  assert.equal(code, 0, said);
  assert.match(said, /loaded\n$/);
});
