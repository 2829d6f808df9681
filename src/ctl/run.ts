/** Runs one command line. The only place where an error becomes words on stderr and an exit code: 0 done, 1 refused, 2 not understood. */
import { CommanderError } from "commander";
import { Refusal } from "../errors.ts";
import type { Context } from "./context.ts";
import { toProgram } from "./program.ts";

export async function run(argv: readonly string[], context: Context): Promise<number> {
  try {
    await toProgram(context).parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Refusal && error.code !== "internal") {
      context.stderr(`error: ${error.message}\n`);
      return error.code === "config" ? 2 : 1;
    }
    context.stderr(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}
