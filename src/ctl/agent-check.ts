/** `agent check`: what is wrong with the agents of a cluster and with what Istio was told, the first thing to mend first. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { toLines } from "./findings.ts";
import { toJson } from "./output.ts";

interface CheckOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly config?: string;
  readonly namespace: string;
  readonly name: string;
  readonly output: Output;
}

export function addAgentCheck(agent: Command, context: Context): void {
  withOutput(agent.command("check"))
    .description(
      "Says what is wrong in a cluster, in the order in which to mend it. Exits with 1 when anything is. Changes nothing.",
    )
    .option("--kubeconfig <file>", "the cluster; without it the one this runs in")
    .option("--context <name>", "of the kubeconfig, if not its current one")
    .option("--config <file>", "agent.yaml; without it that of the release's ConfigMap")
    .option("--namespace <name>", "the release's namespace", "espalier-system")
    .option("--name <name>", "the release", "espalier-agent")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier agent check --kubeconfig ~/.kube/config --context east\n  espalier agent check --config /etc/espalier/agent.yaml",
    )
    .action(async (options: CheckOptions) => await check(options, context));
}

async function check({ config: configFile, output, ...options }: CheckOptions, context: Context): Promise<void> {
  const [{ runChecks }, { openView }] = await Promise.all([
    import("../checkup/checks.ts"),
    import("../checkup/view.ts"),
  ]);
  using view = await openView({ ...options, configFile, now: context.now });
  const found = await runChecks(view);
  context.stdout(output === "json" ? toJson(found) : toLines(found));
  const failed = found.filter(({ state }) => state === "fail");
  const [first] = failed;
  if (first !== undefined)
    throw new Refusal(
      "not-ready",
      `${failed.length === 1 ? "1 check" : `${failed.length} checks`} failed, ${first.id} first`,
    );
}
