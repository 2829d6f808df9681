/** `issuer run` and `agent run`. What a verb does is loaded when it is called: an agent does without the issuer's modules. */
import type { Command } from "commander";
import { readAgentConfig, readIssuerConfig } from "../ops/config.ts";
import { openLog } from "../ops/log.ts";
import { openMetrics } from "../ops/metrics.ts";
import { openRandom } from "../ops/random.ts";
import { runUntilSignal } from "../ops/run.ts";
import { addAgentCheck } from "./agent-check.ts";
import type { Context } from "./context.ts";

export function addProcesses(program: Command, context: Context): void {
  const { now, signals } = context;
  program
    .command("issuer")
    .description("The central service that decides and signs.")
    .addHelpText("after", "\nExample:\n  espalier issuer run --config espalier-data/issuer.yaml")
    .command("run")
    .description("Runs an issuer until SIGTERM or SIGINT.")
    .requiredOption("--config <file>", "issuer.yaml, as `espalier init` writes it")
    .addHelpText("after", "\nExample:\n  espalier issuer run --config espalier-data/issuer.yaml")
    .action(async ({ config: file }: { config: string }) => {
      const { startIssuer } = await import("../issuer/server.ts");
      const config = await readIssuerConfig(file);
      const log = openLog(config.log, "issuer");
      const metrics = openMetrics({ process: "issuer", runtime: true });
      const random = openRandom();
      await runUntilSignal(async () => await startIssuer(config, { now, random, log, metrics }), signals);
    });
  const agent = program
    .command("agent")
    .description("The service in each cluster that speaks Istio's CA protocol.")
    .addHelpText("after", "\nExample:\n  espalier agent run --config agent.yaml");
  agent
    .command("run")
    .description("Runs an agent until SIGTERM or SIGINT.")
    .requiredOption("--config <file>", "agent.yaml")
    .addHelpText("after", "\nExample:\n  espalier agent run --config agent.yaml")
    .action(async ({ config: file }: { config: string }) => {
      const { startAgent } = await import("../agent/server.ts");
      const config = await readAgentConfig(file);
      const log = openLog(config.log, "agent");
      const metrics = openMetrics({ process: "agent", runtime: true });
      await runUntilSignal(async () => await startAgent(config, { now, log, metrics }), signals);
    });
  addAgentCheck(agent, context);
}
