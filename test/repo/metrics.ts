/** Every metric of a process, as the code has them: what docs/ must say, and what alert rules may name. */
import { openMetrics } from "../../src/ops/metrics.ts";
import { read, sources } from "./sources.ts";

interface Counted {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** What a process counts: that of `openMetrics`, and the gauges that its own files add. */
export function metricsOf(process: "issuer" | "agent"): readonly (readonly string[])[] {
  const { registry } = openMetrics({ process });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library types them as the least they have
  const fixed = (registry.getMetricsAsArray() as unknown as readonly Counted[]).map(
    ({ name, type, help, labelNames = [] }) => [`\`${name}\``, type, labelNames.join(", "), help],
  );
  const added = sources(`src/${process}`).flatMap((path) =>
    [...read(path).matchAll(/metrics\.(gauge|counter)\(\s*"([^"]+)",\s*"([^"]+)"/g)].map(
      ([, type = "", name = "", help = ""]) => [`\`espalier_${process}_${name}\``, type, "", help],
    ),
  );
  const labelled = sources(`src/${process}`).flatMap((path) =>
    [...read(path).matchAll(/metrics\.gauges\(\s*"([^"]+)",\s*"([^"]+)",\s*\[([^\]]*)\]/g)].map(
      ([, name = "", help = "", labels = ""]) => [
        `\`espalier_${process}_${name}\``,
        "gauge",
        labels.replaceAll('"', ""),
        help,
      ],
    ),
  );
  return [...fixed, ...added, ...labelled];
}
