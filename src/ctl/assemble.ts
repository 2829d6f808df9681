/** A tree of verbs, with what holds for all of them. */
import { Command } from "commander";
import type { Context } from "./context.ts";
import { version } from "./version.ts";

/** Adds one verb, or a family of them. */
export type Add = (program: Command, context: Context) => void;

export function assemble(context: Context, verbs: readonly Add[]): Command {
  const program = new Command("espalier")
    .description("A certificate authority for Istio meshes that span many clusters and many tenants.")
    .version(version, "-V, --version")
    .addHelpText("after", "\nExample:\n  espalier init --hub hub.example")
    .configureOutput({ writeOut: context.stdout, writeErr: context.stderr })
    .showSuggestionAfterError()
    .showHelpAfterError("(add --help for what there is)")
    .exitOverride();
  for (const add of verbs) add(program, context);
  inherit(program);
  return program;
}

/** Settings of the whole tree: commander copies them only to what is made after them. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    inherit(child);
  }
}
