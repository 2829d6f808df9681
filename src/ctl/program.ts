/** The command line as a tree of verbs. */
import { Command } from "commander";
import { addAuthority } from "./authority.ts";
import { addBlastRadius } from "./blast-radius.ts";
import { addCluster } from "./cluster.ts";
import { addCompletion } from "./completion.ts";
import { addConfig } from "./config.ts";
import type { Context } from "./context.ts";
import { addCrl } from "./crl.ts";
import { addCustody } from "./custody.ts";
import { addDb } from "./db.ts";
import { addExplain } from "./explain.ts";
import { addInit } from "./init.ts";
import { addIstio } from "./istio.ts";
import { addLedger } from "./ledger.ts";
import { addOperator } from "./operator.ts";
import { addProcesses } from "./processes.ts";
import { addRequest } from "./request.ts";
import { addRevoke } from "./revoke.ts";
import { addRoot } from "./root.ts";
import { addTenant } from "./tenant.ts";
import { version } from "./version.ts";

export function toProgram(context: Context): Command {
  const program = new Command("espalier")
    .description("A certificate authority for Istio meshes that span many clusters and many tenants.")
    .version(version, "-V, --version")
    .addHelpText("after", "\nExample:\n  espalier init --hub hub.example")
    .configureOutput({ writeOut: context.stdout, writeErr: context.stderr })
    .showSuggestionAfterError()
    .showHelpAfterError("(add --help for what there is)")
    .exitOverride();
  for (const add of [
    addInit,
    addProcesses,
    addRoot,
    addTenant,
    addAuthority,
    addCluster,
    addRequest,
    addRevoke,
    addCrl,
    addBlastRadius,
    addExplain,
    addLedger,
    addDb,
    addCustody,
    addConfig,
    addIstio,
    addOperator,
    addCompletion,
  ])
    add(program, context);
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
