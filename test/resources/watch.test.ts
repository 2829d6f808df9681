import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Refusal } from "../../src/errors.ts";
import type { Context } from "../../src/resources/check.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { directorySource } from "../../src/resources/directory-source.ts";
import { loadDirectory } from "../../src/resources/load.ts";
import { watchSource } from "../../src/resources/watch.ts";
import { eventually } from "../support/patience.ts";
import { cluster, root, tenant } from "./build.ts";

type Event = { readonly roots: readonly string[] } | { readonly refused: string };

interface Watched extends AsyncDisposable {
  readonly directory: string;
  /** As an editor does: the whole file at once. In place it is empty for a moment, which on a slow machine is long. */
  write(name: string, text: string): Promise<void>;
  /** The next thing told. */
  next(): Promise<Event>;
  /** Nothing more is told for a while. */
  quiet(): Promise<void>;
}

async function watched(
  setUp: (directory: string) => Promise<void>,
  onChange?: (declared: Declared) => void,
  context?: () => Promise<Context>,
): Promise<Watched> {
  const directory = await mkdtemp(join(tmpdir(), "watch-"));
  await setUp(directory);
  const events: Event[] = [];
  const watcher = watchSource(
    directorySource(directory),
    { inForce: await loadDirectory(directory), intervalMs: 30, settleMs: 15, againMs: 60, ...(context && { context }) },
    {
      onChange: (declared) => {
        onChange?.(declared);
        events.push({ roots: [...declared.roots.keys()].sort() });
      },
      onRefused: ({ message }) => events.push({ refused: message.replaceAll(directory, "") }),
    },
  );
  return {
    directory,
    write: async (name, text) => {
      await writeFile(join(directory, ".written"), text);
      await rename(join(directory, ".written"), join(directory, name));
    },
    next: async () =>
      await eventually(() => {
        const event = events.shift();
        assert.ok(event, "nothing was told");
        return event;
      }),
    quiet: async () => {
      await delay(150);
      assert.deepEqual(events, []);
    },
    async [Symbol.asyncDispose]() {
      await watcher[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const one = (directory: string) => writeFile(join(directory, "a.yaml"), root("one"));

test("a good edit takes the place of what is in force, and nothing is told without one", async () => {
  await using it = await watched(one);
  await it.quiet();
  // In place: there is another file, so that all that may be seen meanwhile is what is in force.
  await writeFile(join(it.directory, "b.yaml"), root("two"));
  assert.deepEqual(await it.next(), { roots: ["one", "two"] });
  await it.quiet();
});

test("a bad edit is told once and changes nothing; taken back, the good state is told again", async () => {
  await using it = await watched(one);
  await it.write("a.yaml", root("one", "{ a: 1 }"));
  assert.deepEqual(await it.next(), { refused: "/a.yaml:4:9 spec.a: unknown field" });
  await it.quiet();
  await it.write("a.yaml", root("one"));
  assert.deepEqual(await it.next(), { roots: ["one"] });
});

test("a file saved by renaming, and one deleted, are noticed", async () => {
  await using it = await watched(one);
  await it.write("a.yaml", root("three"));
  assert.deepEqual(await it.next(), { roots: ["three"] });
  await it.write("b.yaml", root("four"));
  assert.deepEqual(await it.next(), { roots: ["four", "three"] });
  await rm(join(it.directory, "a.yaml"));
  assert.deepEqual(await it.next(), { roots: ["four"] });
});

test("a ConfigMap's links swapped are noticed", async () => {
  await using it = await watched(async (directory) => {
    await mkdir(join(directory, "..1"));
    await writeFile(join(directory, "..1", "a.yaml"), root("one"));
    await symlink("..1", join(directory, "..data"));
    await symlink(join("..data", "a.yaml"), join(directory, "a.yaml"));
  });
  await mkdir(join(it.directory, "..2"));
  await writeFile(join(it.directory, "..2", "a.yaml"), root("two"));
  await symlink("..2", join(it.directory, "..data_tmp"));
  await rename(join(it.directory, "..data_tmp"), join(it.directory, "..data"));
  assert.deepEqual(await it.next(), { roots: ["two"] });
});

test("everything gone at once is not believed", async () => {
  await using it = await watched(one);
  await rm(join(it.directory, "a.yaml"));
  const event = await it.next();
  assert.ok("refused" in event && /holds no documents any more/.test(event.refused));
  await rm(it.directory, { recursive: true });
  const gone = await it.next();
  assert.ok("refused" in gone && /there is no such directory/.test(gone.refused));
  await mkdir(it.directory);
  await it.write("a.yaml", root("back"));
  assert.deepEqual(await it.next(), { roots: ["back"] });
});

test("files in directories below are noticed without events", async () => {
  await using it = await watched(async (directory) => {
    await mkdir(join(directory, "below"));
    await writeFile(join(directory, "below", "a.yaml"), root("one"));
  });
  await it.write(join("below", "a.yaml"), root("two"));
  assert.deepEqual(await it.next(), { roots: ["two"] });
});

test("what the receiver refuses is a bad edit, and the watch goes on", async () => {
  await using it = await watched(one, ({ roots }) => {
    if (roots.has("bad")) throw new Refusal("config", "not this one");
  });
  await it.write("a.yaml", root("bad"));
  assert.deepEqual(await it.next(), { refused: ":1:1: not this one" });
  await it.write("a.yaml", root("good"));
  assert.deepEqual(await it.next(), { roots: ["good"] });
});

test("what could not be taken just now is tried again", async () => {
  let failures = 2;
  await using it = await watched(one, () => {
    if (failures-- > 0) throw new Refusal("unavailable", "the database is away");
  });
  await it.write("a.yaml", root("two"));
  for (let i = 0; i < 2; i++) assert.deepEqual(await it.next(), { refused: ":1:1: the database is away" });
  assert.deepEqual(await it.next(), { roots: ["two"] });
  await it.quiet();
});

test("after it is disposed of, or told to stop, nothing is told", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "watch-"));
  t.after(() => rm(directory, { recursive: true }));
  await one(directory);
  const stop = new AbortController();
  const told: unknown[] = [];
  const parts = { onChange: () => void told.push("change"), onRefused: () => void told.push("refused") };
  const inForce = await loadDirectory(directory);
  await using watcher = watchSource(
    directorySource(directory),
    { inForce, intervalMs: 20, settleMs: 10, signal: stop.signal },
    parts,
  );
  const other = watchSource(directorySource(directory), { inForce, intervalMs: 20, settleMs: 10 }, parts);
  stop.abort();
  await other[Symbol.asyncDispose]();
  await writeFile(join(directory, "a.yaml"), root("two"));
  await delay(200);
  assert.deepEqual(told, []);
  assert.ok(watcher);
});

test("what is refused for what is out is told once, and comes into force when that has ended", async () => {
  const inUse = new Map([["shop", { trustDomain: "old.example", until: new Date("2027-01-01T00:00:00Z") }]]);
  await using it = await watched(one, undefined, async () => ({ inUse }));
  await it.write("b.yaml", [root(), tenant("shop"), cluster("east")].join("---\n"));
  const told = await it.next();
  assert.match("refused" in told ? told.refused : "", /certificates of "old\.example" are out until 2027/);
  await it.quiet();
  inUse.clear();
  assert.deepEqual(await it.next(), { roots: ["main", "one"] });
});
