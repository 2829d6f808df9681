/**
 * An issuer that kills itself with SIGKILL right before or right after one durable write:
 * `node test/support/dying-issuer.ts CONFIG.json WRITE before|after [N [AHEAD]]`. It prints its port, and dies at the first write of
 * that name after a line on its input, which it answers; or, with a number, at the Nth since it began. `none` lives.
 * Where AHEAD is given, its clock is as many seconds ahead, and it looks for what is due ten times a second.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeSync } from "node:fs";
import { startIssuer } from "../../src/issuer/server.ts";
import { issuerSchema } from "../../src/ops/config.ts";
import { silentLog } from "../../src/ops/log.ts";
import { openMetrics } from "../../src/ops/metrics.ts";

const [file = "", name = "", moment = "", nth = "", ahead = ""] = process.argv.slice(2);
// These are written while it starts, before anybody could say anything.
let armed = name === "migrate" || name === "epoch" || nth !== "";
let left = Number(nth === "" ? 1 : nth);
process.stdin.once("data", () => {
  armed = true;
  writeSync(1, "armed\n");
  // The heads are signed once a minute, and when it closes.
  if (name === "head") void running[Symbol.asyncDispose]();
});

const die = (): void => void process.kill(process.pid, "SIGKILL");
const running = await startIssuer(issuerSchema.parse(JSON.parse(readFileSync(file, "utf8"))), {
  now: () => new Date(Date.now() + Number(ahead) * 1000),
  ...(ahead === "" ? {} : { renewalMs: 100 }),
  random: (n) => randomBytes(n),
  log: silentLog,
  metrics: openMetrics({ process: "issuer" }),
  write: (write, commit) => {
    const fatal = armed && write === name && --left === 0;
    if (fatal && moment === "before") die();
    commit();
    if (fatal) die();
  },
});
writeSync(1, `${running.port}\n`);
