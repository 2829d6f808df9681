import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";

const log = JSON.stringify(new URL("../../src/ops/log.ts", import.meta.url).href);

function start(program: string) {
  const source = `import { openLog } from ${log}; const log = openLog("info", "issuer"); ${program}`;
  const args = ["--input-type=module-typescript", "--eval", source];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

test("every line of a process that ends is written, whole, though there are more than one write takes", async () => {
  for (const end of ["", "process.exit(0);"]) {
    const child = start(`for (let n = 0; n < 2000; n++) log.info("issued", { n, identity: "ü".repeat(100) }); ${end}`);
    const lines = (await text(child.stdout)).trimEnd().split("\n");
    const read = lines.map((line) => {
      const { event, n, identity }: Readonly<Record<string, unknown>> = JSON.parse(line);
      return { event, n, identity };
    });
    const expected = Array.from({ length: 2000 }, (_, n) => ({ event: "issued", n, identity: "ü".repeat(100) }));
    assert.deepEqual(read, expected);
  }
});

test("a process whose log nobody reads any more goes on", async () => {
  const child = start(`
    log.info("ready");
    const writing = setInterval(() => log.info("issued", { identity: "x".repeat(10_000) }), 5);
    setTimeout(() => { clearInterval(writing); process.exit(7); }, 1_500);`);
  await once(child.stdout, "data");
  child.stdout.destroy();
  assert.deepEqual(await once(child, "exit"), [7, null]);
});
