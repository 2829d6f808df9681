/** Where a process runs, and before whom: what stands on machines of its own elsewhere must not compete with what is measured. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The processors of the issuer, and those of everything else, as `taskset` takes them; undefined where there is only one. */
export function dividedProcessors(): { readonly issuer: string; readonly others: string } | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const all = list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, n) => first + n);
  });
  const [issuer, ...others] = all;
  return issuer === undefined || others.length === 0 ? undefined : { issuer: `${issuer}`, others: others.join(",") };
}

/** All threads of a process on these processors; needs util-linux. */
export async function placeOn(processors: string, pid: number): Promise<void> {
  await run("taskset", ["--all-tasks", "--cpu-list", "--pid", processors, `${pid}`]);
}

/** It gets what nobody else wants: whoever wakes up takes its processor at once. */
export async function letOthersFirst(pid: number): Promise<void> {
  await run("chrt", ["--all-tasks", "--idle", "--pid", "0", `${pid}`]);
}
