/** What checks have found, for people. */
import type { Finding } from "../checkup/checks.ts";
import { toPrintable } from "./output.ts";

const marks: Readonly<Record<Finding["state"], string>> = { ok: "ok", warn: "WARN", fail: "FAIL", skipped: "-" };

/** Two lines for what is wrong: what it is, and what mends it. */
export function toLines(found: readonly Finding[]): string {
  const width = Math.max(...found.map(({ id }) => id.length));
  const first = found.find(({ state }) => state === "fail");
  const lines = found.flatMap((one) => {
    const line = `${marks[one.state].padEnd(5)} ${one.id.padEnd(width)}  ${toPrintable(one.says)}`;
    if (one.state !== "fail" && one.state !== "warn") return [line];
    return [line, `${" ".repeat(width + 8)}${one === first ? "fix this first" : "then"}: ${toPrintable(one.fix)}`];
  });
  return `${lines.join("\n")}\n`;
}
