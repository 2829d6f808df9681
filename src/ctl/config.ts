/** `config check`: says what an issuer or agent would say of its files, without starting one. */
import type { Command } from "commander";
import { readAgentConfig } from "../ops/config.ts";
import { loadDirectory } from "../resources/load.ts";
import { toLine } from "../resources/problem.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { findDocuments } from "./documents.ts";
import { toJson } from "./output.ts";

export function addConfig(program: Command, context: Context): void {
  const config = program
    .command("config")
    .description("Configuration and resources.")
    .addHelpText("after", "\nExample:\n  espalier config check espalier-data/issuer.yaml");
  withOutput(config.command("check <path>"))
    .description("Checks a directory of resources, an issuer.yaml (and the resources it names) or an agent.yaml.")
    .option("--hub <name>", "with a directory: the hub its resources are for")
    .option("--agent", "the file is an agent's")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier config check espalier-data/issuer.yaml\n  espalier config check resources/ --hub hub.example\n  espalier config check agent.yaml --agent",
    )
    .action(
      async (path: string, options: { hub?: string; agent?: true; output: Output }) =>
        await check(path, options, context),
    );
}

async function check(
  path: string,
  options: { hub?: string; agent?: true; output: Output },
  { stdout }: Context,
): Promise<void> {
  if (options.agent) {
    const { cluster, hub } = await readAgentConfig(path);
    return stdout(
      options.output === "json"
        ? toJson({ sound: true, cluster, hub })
        : `${path}: an agent of cluster "${cluster}" of hub "${hub}"; it holds\n`,
    );
  }
  const { directory, hub } = await findDocuments(path, options.hub);
  if (directory === undefined) {
    return stdout(
      options.output === "json"
        ? toJson({ sound: true, hub })
        : `${path}: the issuer of hub "${hub}"; it holds. Its resources are a cluster's objects: kubectl get espalier\n`,
    );
  }
  const declared = await loadDirectory(directory, hub === undefined ? {} : { hub });
  const warnings = declared.warnings.map(toLine);
  const counts = { roots: declared.roots.size, tenants: declared.tenants.size, clusters: declared.clusters.size };
  if (options.output === "json") return stdout(toJson({ sound: true, ...counts, warnings }));
  for (const warning of warnings) stdout(`warning: ${warning}\n`);
  stdout(
    `${directory}: roots ${counts.roots}, tenants ${counts.tenants}, clusters ${counts.clusters}; they hold together\n`,
  );
}
