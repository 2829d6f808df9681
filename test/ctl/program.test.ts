import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { Command } from "commander";
import { toProgram } from "../../src/ctl/program.ts";
import { espalier, openFolder } from "./stage.ts";

const noContext = {
  stdout: () => {},
  stderr: () => {},
  isTerminal: false,
  user: "",
  defaultSocket: "",
  now: () => new Date(),
  signals: {
    on: () => undefined,
    exit: (): never => {
      throw new Error("exit");
    },
  },
};

/** Every path of verbs, the program's own empty one first. */
function paths(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  return [path, ...command.commands.flatMap((child) => paths(child, [...path, child.name()]))];
}

const all = paths(toProgram(noContext));

for (const path of all) {
  test(`espalier ${[...path, "--help"].join(" ")} has an example`, async () => {
    const { code, stdout, stderr } = await espalier([...path, "--help"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    assert.match(stdout, new RegExp(`\nExamples?:\n(?:.*\n)*?.*espalier ${path.join(" ")}`));
  });
}

test("every example of the help is a command line that is understood", async () => {
  for (const path of all) {
    const { stdout } = await espalier([...path, "--help"]);
    const [, examples = ""] = stdout.split(/\nExamples?:\n/);
    for (const line of examples.replaceAll("\\\n", "").split("\n")) {
      const words = /espalier ([^>)]*)/.exec(line)?.[1]?.trim().split(/\s+/) ?? [];
      const verbs = words.slice(0, words.findIndex((word) => word.startsWith("-")) >>> 0);
      const options = words.filter((word) => word.startsWith("--"));
      if (words.length === 0) continue;
      const known = all.filter((one) => one.every((verb, at) => verbs[at] === verb)).at(-1) ?? [];
      assert.ok(known.length > 0, line);
      const help = (await espalier([...known, "--help"])).stdout;
      for (const option of options) assert.ok(help.includes(`${option} `), `${line}: ${option}`);
    }
  }
});

for (const [typed, meant] of [
  [["ledgr"], "ledger"],
  [["root", "creat"], "create"],
  [["tenant", "susspend"], "suspend"],
  [["ledger", "list", "--limt", "3"], "--limit"],
] as const) {
  test(`espalier ${typed.join(" ")} is not understood, and ${meant} is suggested`, async () => {
    const { code, stdout, stderr } = await espalier(typed);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, new RegExp(`Did you mean ${meant}\\?`));
  });
}

test("a verb without its argument is not understood", async () => {
  const { code, stderr } = await espalier(["tenant", "show"]);
  assert.equal(code, 2);
  assert.match(stderr, /missing required argument 'name'/);
});

for (const argv of [
  ["root", "list", "-o", "yaml"],
  ["istio", "values", "--cluster", "east", "-o", "table"],
])
  test(`espalier ${argv.join(" ")} says what there is to choose from`, async () => {
    const { code, stdout, stderr } = await espalier(argv);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /argument '(?:yaml|table)' is invalid. Allowed choices are (?:table|yaml), json\./);
  });

for (const [argv, says] of [
  [["ledger", "list", "--limit", "many"], /--limit is a whole number from 1, not "many"/],
  [["root", "create"], /give the name of a TrustRoot, or --serving and a cluster/],
  [["cluster", "join-token", "west"], /state the cluster's key: --jwks FILE or --thumbprint VALUE/],
  [
    ["cluster", "join-token", "west", "--jwks", "/nowhere/jwks.json"],
    /cannot read \/nowhere\/jwks\.json: no such file or directory$/m,
  ],
  [
    ["issuer", "run", "--config", "/nowhere/issuer.yaml"],
    /cannot read the configuration \/nowhere\/issuer\.yaml: no such file/,
  ],
  [["agent", "run", "--config", "/nowhere/agent.yaml"], /cannot read the configuration \/nowhere\/agent\.yaml/],
] as const) {
  test(`espalier ${argv.join(" ")} says what to correct, without a stack`, async () => {
    const { code, stdout, stderr } = await espalier(argv);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, says);
    assert.equal(stderr.split("\n").length, 2, stderr);
  });
}

for (const argv of [
  ["root", "list"],
  ["tenant", "list", "-o", "json"],
  ["cluster", "show", "east"],
  ["ledger", "list"],
  ["ledger", "verify", "-o", "json"],
  ["tenant", "suspend", "shop"],
]) {
  test(`espalier ${argv.join(" ")} without an issuer says how to start one`, async () => {
    const { code, stdout, stderr } = await espalier([...argv, "--socket", "/nowhere/admin.sock"]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^error: no issuer answers .*\/nowhere\/admin\.sock: start it with `espalier issuer run`.*\n$/,
    );
  });
}

for (const shell of ["bash", "zsh", "fish"] as const) {
  test(`the completion script for ${shell} is one that ${shell} reads`, async (t) => {
    const { code, stdout } = await espalier(["completion", shell]);
    assert.equal(code, 0);
    for (const path of all) for (const verb of path) assert.ok(stdout.includes(verb), verb);
    if (spawnSync(shell, ["-c", "true"]).status !== 0) return t.skip(`there is no ${shell} here`);
    execFileSync(shell, ["-n"], { input: stdout });
  });
}

test("bash completes verbs, and the options of a verb", async () => {
  const { stdout } = await espalier(["completion", "bash"]);
  const complete = (...words: readonly string[]): readonly string[] => {
    const array = words.map((word) => `'${word}'`).join(" ");
    const script = `${stdout}\nCOMP_WORDS=(espalier ${array}); COMP_CWORD=${words.length}; _espalier; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim().split("\n");
  };
  assert.deepEqual(complete("te"), ["tenant"]);
  assert.deepEqual(complete("cluster", "keys", ""), ["list", "approve", "reject", "remove"]);
  assert.deepEqual(complete("tenant", "s"), ["show", "suspend"]);
  assert.deepEqual(complete("completion", "z"), ["zsh"]);
  assert.deepEqual(complete("ledger", "list", "--l"), ["--log", "--limit"]);
  assert.deepEqual(complete("ledger", "list", "--log", "shop", "--lim"), ["--limit"]);
  assert.deepEqual(complete("root", "list", "-o", ""), ["table", "json"]);
  assert.deepEqual(complete("operator", "create", "alice", "--role", "a"), ["admin"]);
  // Nothing of ours: the shell goes on with files.
  assert.deepEqual(complete("issuer", "run", "--config", ""), [""]);
  assert.deepEqual(complete("config", "check", ""), [""]);
});

test("zsh completes the same", async (t) => {
  if (spawnSync("zsh", ["-c", "true"]).status !== 0) return t.skip("there is no zsh here");
  const { stdout } = await espalier(["completion", "zsh"]);
  const complete = (...words: readonly string[]): string => {
    const typed = words.map((word) => `'${word}'`).join(" ");
    // What it would offer, without zsh's own part of it.
    const stand = "compdef() {}; compadd() { shift; print -r -- $* }; _files() { print files }";
    const script = `${stand}\n${stdout}\nwords=(espalier ${typed}); CURRENT=${words.length + 1}; _espalier`;
    return execFileSync("zsh", ["-fc", script], { encoding: "utf8" }).trim();
  };
  assert.equal(complete("cluster", "keys", ""), "list approve reject remove");
  assert.equal(complete("root", "list", "-o", ""), "table json");
  assert.equal(complete("issuer", "run", "--config", ""), "files");
});

test("whoever stops reading is no fault to tell of", async () => {
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, "completion", "bash"], { stdio: ["ignore", "pipe", "pipe"] });
  // Before a word was written.
  child.stdout.destroy();
  const said = await text(child.stderr);
  if (child.exitCode === null) await once(child, "exit");
  assert.deepEqual([child.exitCode, said], [141, ""]);
});

test("the version is the package's", async () => {
  assert.match((await espalier(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});

test("a machine's own fault is one line", async () => {
  await using folder = await openFolder();
  const file = await folder.put("file", "");
  const { code, stderr } = await espalier(["init", "--hub", "hub.example", "--dir", `${file}/hub`]);
  assert.equal(code, 1);
  assert.match(stderr, /^error: ENOTDIR: .*\n$/);
});
