/** The command line as a tree of verbs. */
import type { Command } from "commander";
import { assemble } from "./assemble.ts";
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

export function toProgram(context: Context): Command {
  return assemble(context, verbs);
}

const verbs = [
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
];
