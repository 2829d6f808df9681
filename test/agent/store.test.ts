import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { openStore } from "../../src/agent/store.ts";
import { temporaryDirectory } from "../contract/directory.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
let made = 0;
const freshPath = (): string => join(base.path, `data-${(made += 1)}`);
const program = fileURLToPath(new URL("../../src/agent/store.ts", import.meta.url));

/** Another process with this store as `store`. */
function toScript(directory: string, script: string): string {
  return `const { openStore } = await import(${JSON.stringify(program)}); const store = await openStore(${JSON.stringify(directory)}); ${script}`;
}

const size = 200_000;
/** One of the texts that are written by turns, whole. */
function assertWhole(text: string | undefined): void {
  assert.equal(text?.length, size);
  assert.equal(new Set(text).size, 1);
}

test("what was written is read again, by this process's user alone; what was not is not there", async () => {
  const directory = freshPath();
  const store = await openStore(directory);
  assert.equal(await store.read("trust.json"), undefined);
  await store.write("trust.json", "old");
  await store.write("trust.json", "new");
  assert.equal(await (await openStore(directory)).read("trust.json"), "new");
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, "trust.json")).mode & 0o777, 0o600);
  await store.write("root.pem", "for others", 0o644);
  assert.equal(statSync(join(directory, "root.pem")).mode & 0o777, 0o644);
  assert.deepEqual(readdirSync(directory).sort(), ["root.pem", "trust.json"]);
});

test("a process that is killed while it writes leaves the old file or the new one, whole, and so does each moment before", async () => {
  const directory = freshPath();
  await (await openStore(directory)).write("trust.json", "a".repeat(size));
  for (let kill = 1; kill <= 5; kill += 1) {
    const writing = `for (let n = 0; ; n += 1) await store.write("trust.json", (n % 2 ? "a" : "b").repeat(${size}));`;
    const script = toScript(directory, `process.stdout.write("ready"); ${writing}`);
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const store = await openStore(directory);
    for (let read = 0; read < 10 * kill; read += 1) assertWhole(await store.read("trust.json"));
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    assertWhole(await store.read("trust.json"));
  }
  const store = await openStore(directory);
  await store.write("trust.json", "c".repeat(size));
  assert.equal((await store.read("trust.json"))?.[0], "c");
});

test("a write that the disk does not take leaves the old file whole, and nothing beside it", async () => {
  const directory = freshPath();
  const store = await openStore(directory);
  await store.write("trust.json", "a".repeat(size));
  // To the process it is a full disk: a file may have no more bytes than this.
  const tried = `for (let n = 0; n < 3; n += 1) await store.write("trust.json", "b".repeat(${size})).then(() => process.exit(1), ({ code }) => process.stdout.write(code + "\\n"));`;
  const limited = `trap '' XFSZ; ulimit -f 16; exec "$0" --input-type=module -e "$1"`;
  const { stdout } = await promisify(execFile)("bash", ["-c", limited, process.execPath, toScript(directory, tried)]);
  assert.equal(stdout, "EFBIG\nEFBIG\nEFBIG\n");
  assertWhole(await store.read("trust.json"));
  assert.deepEqual(readdirSync(directory), ["trust.json"]);
});

test("where nothing can have the name, or the folder has gone, a write fails, and succeeds once that is mended", async () => {
  const directory = freshPath();
  const store = await openStore(directory);
  mkdirSync(join(directory, "trust.json"));
  await assert.rejects(store.write("trust.json", "new"));
  assert.deepEqual(readdirSync(directory), ["trust.json"]);
  rmSync(directory, { recursive: true });
  await assert.rejects(store.write("trust.json", "new"), { code: "ENOENT" });
  await (await openStore(directory)).write("trust.json", "new");
  assert.equal(await store.read("trust.json"), "new");
});
