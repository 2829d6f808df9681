/** Runs one command line. The only place where an error becomes words on stderr and an exit code: 0 done, 1 refused, 2 not understood. */
import { type Command, CommanderError } from "commander";
import { Refusal } from "../errors.ts";
import { assemble } from "./assemble.ts";
import type { Context } from "./context.ts";
import { toPrintable } from "./output.ts";

export async function run(argv: readonly string[], context: Context): Promise<number> {
  try {
    const program = await load(argv, context);
    await program.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Refusal && error.code !== "internal") {
      context.stderr(`error: ${toLines(error.message)}${toWhy(error.cause)}\n`);
      return error.code === "config" ? 2 : 1;
    }
    // What the machine itself says (no such directory, no permission) needs no stack to be understood.
    const plain = error instanceof Error && "syscall" in error;
    const words = error instanceof Error && !plain ? (error.stack ?? error.message) : toWords(error);
    context.stderr(`error: ${toLines(words)}\n`);
    return 1;
  }
}

/** What runs for long is started again and again, and is to be back soon: it does without all other verbs' modules. */
async function load([first]: readonly string[], context: Context): Promise<Command> {
  if (first === "issuer" || first === "agent") {
    const { addProcesses } = await import("./processes.ts");
    return assemble(context, [addProcesses]);
  }
  const { toProgram } = await import("./program.ts");
  return toProgram(context);
}

/** What the machine says of a file that a message names: that it is not there, or not for this user. */
function toWhy(cause: unknown): string {
  const [, why] = cause instanceof Error && "path" in cause ? (/^E[A-Z]+: ([^,]+)/.exec(cause.message) ?? []) : [];
  return why === undefined ? "" : `: ${why}`;
}

function toWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error may quote what others have written. */
function toLines(words: string): string {
  return words.split("\n").map(toPrintable).join("\n");
}
