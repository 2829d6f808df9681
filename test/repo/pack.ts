/** The package as somebody else has it: packed, installed under an empty prefix, run from there. Run by .ci/run: it takes some 15 s. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { read, root } from "./sources.ts";

const prefix = mkdtempSync(join(tmpdir(), "espalier-pack-"));
after(() => rmSync(prefix, { recursive: true, force: true }));

function run(command: string, ...args: readonly string[]): string {
  // Whoever has installed it has no compile cache of somebody else's.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  // Its own stderr is shown only when it fails.
  return execFileSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env });
}

/** With this Node, not with what the machine has. */
function espalier(...args: readonly string[]): string {
  return run(process.execPath, join(prefix, "bin/espalier"), ...args);
}

test("npm packs what runs, and nothing of the repository's own", () => {
  const name = run("npm", "pack", "--silent", "--pack-destination", prefix).trim();
  const listed = run("tar", "-tzf", join(prefix, name)).trim().split("\n");
  const odd = listed.filter(
    (path) =>
      !/^package\/(dist\/.*\.js|dist\/licenses\.txt|proto\/.*\.proto|docs\/.*\.md|[A-Z]+(\.md)?|package\.json)$/.test(
        path,
      ),
  );
  assert.deepEqual(odd, []);
  for (const path of ["dist/main.js", "proto/istio/v1/auth/ca.proto", "LICENSE", "README.md"]) {
    assert.ok(listed.includes(`package/${path}`), path);
  }
});

test("npm installs it elsewhere", () => {
  const [name] = readdirSync(prefix).filter((path) => path.endsWith(".tgz"));
  assert.ok(name !== undefined, "nothing was packed");
  run("npm", "install", "--silent", "--global", "--prefix", prefix, "--prefer-offline", join(prefix, name));
  assert.ok(existsSync(join(prefix, "bin/espalier")));
});

test("what node has compiled of it is nobody else's to write, whatever the shell says", () => {
  const before = process.umask(0);
  try {
    espalier("--version");
  } finally {
    process.umask(before);
  }
  const { mode } = statSync(join(prefix, "lib/node_modules/espalier/dist/.compiled"));
  assert.equal((mode & 0o777).toString(8), "700");
});

test("the installed command knows its version, completes, and makes a hub", () => {
  const { version }: { version: string } = JSON.parse(read("package.json"));
  assert.equal(espalier("--version"), `${version}\n`);
  assert.match(espalier("completion", "bash"), /^complete -o default -F _espalier espalier$/m);
  const hub = join(prefix, "hub");
  assert.match(espalier("init", "--hub", "hub.example", "--dir", hub), /the hub root/);
  assert.match(espalier("config", "check", join(hub, "issuer.yaml")), /they hold together/);
});
