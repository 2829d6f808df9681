/** The tour of README.md, as it is written: its commands in one shell, in which the first that fails ends it. Run by .ci/run. */
import { spawnSync } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { temporaryDirectory } from "../contract/directory.ts";
import { claim } from "../support/processes.ts";
import { read, root } from "./sources.ts";

const heading = "## A tour by hand\n";
const readme = read("README.md");
const start = readme.indexOf(heading);
if (start < 0) throw new Error("README.md has no tour");
const section = readme.slice(start + heading.length, readme.indexOf("\n## ", start + heading.length));
const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
if (blocks.length < 5) throw new Error("README.md has lost its tour");
// The dependencies are there, or this would not run.
const commands = blocks.join("\n").replace(/^npm ci\n/, "");
// Job control is on in a shell that somebody types into; and whatever fails, both processes end.
const script = `set -euo pipefail -m\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\nset -x\n${commands}\nwait\n`;
// Its ports are what they are: one tour at a time on a machine.
for (const [port = ""] of section.match(/the ports .*\./)?.[0].matchAll(/\d+/g) ?? [])
  while (!(await claim(Number(port)))) await delay(500);
using directory = temporaryDirectory();
const env = { ...process.env, TMPDIR: directory.path };
const { status, signal } = spawnSync("bash", ["-c", script], { cwd: root, env, stdio: "inherit", timeout: 600_000 });
if (signal !== null) console.error(`the tour ended by ${signal}`);
process.exitCode = status ?? 1;
