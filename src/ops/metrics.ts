/** What Espalier counts. Labels are bounded: a tenant, a cluster, a code of the closed table; never an identity. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { RefusalCode } from "../errors.ts";
import { type IstioMetrics, openIstioMetrics } from "./istio-metrics.ts";

export interface Metrics {
  readonly registry: Registry;
  issued(labels: { readonly tenant: string; readonly cluster: string; readonly profile: string }): void;
  refused(labels: { readonly code: RefusalCode; readonly tenant: string; readonly cluster: string }): void;
  /** Seconds from a request's arrival to its answer. */
  answered(seconds: number): void;
  /** A number read when the metrics are scraped; NaN where it cannot be had. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void;
  /** One for each of the labels it returns, a bounded number; what is gone then is shown no more. */
  gauges(name: string, help: string, labelNames: readonly string[], read: () => readonly Labelled[]): void;
  counter(name: string, help: string): () => void;
  /** Under the names of istiod's CA; an agent's only, and kept by `issued` and `refused`. */
  readonly istio: Pick<IstioMetrics, "ends"> | undefined;
}

export type Labelled = readonly [labels: Readonly<Record<string, string>>, value: number];

export function openMetrics(options: { readonly process: "issuer" | "agent"; readonly runtime?: boolean }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.runtime === true) collectDefaultMetrics({ register: registry });
  const istio = options.process === "agent" ? openIstioMetrics(registry) : undefined;
  const prefix = `espalier_${options.process}_`;
  const issued = new Counter({
    name: `${prefix}issued_total`,
    help: "Certificates handed out.",
    labelNames: ["tenant", "cluster", "profile"],
    registers,
  });
  const refused = new Counter({
    name: `${prefix}refused_total`,
    help: "Requests refused, by the code of the refusal; tenant is empty where none was derived.",
    labelNames: ["code", "tenant", "cluster"],
    registers,
  });
  const children = new Map<string, Counter.Internal>();
  const seconds = new Histogram({
    name: `${prefix}answer_seconds`,
    help: "From a request's arrival to its answer.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
    registers,
  });
  return {
    registry,
    istio,
    issued: ({ tenant, cluster, profile }) => {
      // Found by one key: the library would sort and join the labels of every certificate anew.
      const key = `${tenant}/${cluster}/${profile}`;
      const known = children.get(key) ?? issued.labels(tenant, cluster, profile);
      children.set(key, known);
      known.inc();
      istio?.issued();
    },
    refused: (labels) => {
      refused.inc(labels);
      istio?.refused(labels.code);
    },
    answered: (value) => seconds.observe(value),
    gauge: (name, help, read) => {
      const set = async (): Promise<void> => gauge.set(await read());
      const unknown = (): void => gauge.set(Number.NaN);
      const gauge: Gauge = new Gauge({
        name: prefix + name,
        help,
        registers: [],
        // One that fails would fail them all.
        collect: async () => await set().catch(unknown),
      });
      registry.registerMetric(gauge);
    },
    gauges: (name, help, labelNames, read) => {
      const gauge: Gauge = new Gauge({
        name: prefix + name,
        help,
        labelNames: [...labelNames],
        registers: [],
        collect: () => {
          gauge.reset();
          for (const [labels, value] of read()) gauge.set(labels, value);
        },
      });
      registry.registerMetric(gauge);
    },
    counter: (name, help) => {
      const counter = new Counter({ name: prefix + name, help, registers });
      return () => counter.inc();
    },
  };
}
