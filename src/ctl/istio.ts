/** `istio values`: the values of Istio's own charts for one cluster, from the same documents the issuer reads. */
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { Refusal } from "../errors.ts";
import { loadDirectory } from "../resources/load.ts";
import type { Context } from "./context.ts";
import {
  type Chart,
  type ChartValues,
  charts,
  defaultRootConfigMap,
  modes,
  toIstioValues,
  type Wanted,
} from "./istio-values.ts";
import { toJson } from "./output.ts";

interface ValuesOptions extends Wanted {
  readonly resources: string;
  readonly chart?: Chart;
  readonly output: "yaml" | "json";
}

export function addIstio(program: Command, context: Context): void {
  program
    .command("istio")
    .description("What Istio has to be told.")
    .addHelpText("after", "\nExample:\n  espalier istio values --cluster east")
    .command("values")
    .description("Prints values for Istio's own Helm charts: istiod without its CA, everything else at the agent.")
    .requiredOption("--cluster <name>", "the MeshCluster")
    .option("--resources <directory>", "the issuer's documents", "espalier-data/resources")
    .option("--tenant <name>", "whose trust domain, where the cluster's tenants have several")
    .option("--revision <name>", "Istio's revision of this control plane", readRevision)
    .addOption(new Option("--mode <mode>", "the data plane").choices(modes).default("sidecar"))
    .option("--agent-address <host:port>", "the agent's Service; by default what the chart makes")
    .option("--istio-namespace <name>", "istiod's namespace", "istio-system")
    .option("--root-config-map <name>", "the agent's kubernetes.rootConfigMap", defaultRootConfigMap)
    .option("--network <name>", "the cluster's network, where clusters have several")
    .addOption(new Option("--chart <name>", "only this chart's, for helm --values -").choices(charts))
    .addOption(new Option("-o, --output <format>", "yaml or json").choices(["yaml", "json"]).default("yaml"))
    .addHelpText(
      "after",
      "\nExamples:\n  espalier istio values --cluster east --mode ambient\n  espalier istio values --cluster east --revision canary --chart istiod > istiod.yaml",
    )
    .action(async (options: ValuesOptions) => await printValues(options, context));
}

async function printValues(options: ValuesOptions, { stdout, stderr }: Context): Promise<void> {
  const { chart: only, output } = options;
  const { charts: found, warnings } = toIstioValues(options, await loadDirectory(options.resources));
  for (const warning of warnings) stderr(`warning: ${warning}\n`);
  const chosen = charts.flatMap((chart) => {
    const one = only === undefined || only === chart ? found[chart] : undefined;
    return one === undefined ? [] : [{ chart, one }];
  });
  if (only !== undefined && chosen.length === 0)
    throw new Refusal("config", `the chart "${only}" has to be told nothing here`);
  if (output === "json")
    return stdout(
      toJson(
        only === undefined ? Object.fromEntries(chosen.map(({ chart, one }) => [chart, one])) : chosen[0]?.one.values,
      ),
    );
  stdout(chosen.map(({ chart, one }) => toYaml(chart, one)).join("---\n"));
}

/** As a file of its own; the comment says where it goes. */
function toYaml(chart: Chart, { release, namespace, values }: ChartValues): string {
  return `# helm upgrade --install ${release} istio/${chart} --namespace ${namespace} --values ${chart}.yaml\n${stringify(values, { compat: "yaml-1.1" })}`;
}

/** As in the name of a Service. @throws Refusal `config`. */
function readRevision(text: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,53}[a-z0-9])?$/.test(text))
    throw new Refusal("config", `--revision is a part of a Service's name, not "${text}"`);
  return text;
}
