#!/usr/bin/env node
/** The only reader of argv, env, streams and signals. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

/** As shells have it of whom SIGPIPE ends. */
const brokenPipe = 141;

// What Espalier creates is nobody else's to read, whatever the shell it was started from says.
process.umask(0o077);
// Before anything else is loaded. What is built keeps what node has compiled of it beside it: who may write there may write the
// program itself. A folder that others can write to would let them put their code into this process.
if (import.meta.filename.endsWith(".js")) enableCompileCache(join(import.meta.dirname, ".compiled"));
const { run } = await import("./ctl/run.ts");

// Whoever read our output has had enough, as `head` has: that is no fault, and ends us as it ends any other program.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(brokenPipe);
});
process.exitCode = await run(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
  user: process.env["USER"] ?? `uid${process.getuid?.() ?? ""}`,
  defaultSocket:
    process.env["ESPALIER_OPERATOR"] ?? process.env["ESPALIER_ADMIN_SOCKET"] ?? "./espalier-data/admin.sock",
  now: () => new Date(),
  signals: process,
});
