/** (d) All workloads of one tenant start at once, and another tenant, with an agent of its own, asks as it always does. */
import { setPriority } from "node:os";
import { type Driver, type Ran, startDriver } from "./driver.ts";
import { at } from "./measure.ts";
import type { Mesh } from "./mesh.ts";

export interface Restart {
  readonly workloads: number;
  /** Those who were told to ask again, and did. */
  readonly askedAgain: number;
  readonly seconds: number;
  /** While the backlog drained; and of a tenth as many, who are served as they come: what the machine can do. */
  readonly perSecond: number;
  readonly saturatedPerSecond: number;
  /** From the start of all to its certificate. */
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  /** The other tenant's: in the storm, and in runs before and after it. */
  readonly neighbour: {
    readonly perSecond: number;
    readonly asked: number;
    readonly quiet: { readonly p50Ms: number; readonly p99Ms: number };
    readonly storm: { readonly p50Ms: number; readonly p99Ms: number };
    /** Of the storm's p99 to the quiet one. */
    readonly ratio: number;
  };
}

/** Of the neighbour's p99. */
export const neighbourRatioMax = 1.5;
/** Of the rate at which the backlog drains to the saturated one. */
export const drainRatioMin = 0.8;

const neighbourPerSecond = 25;
/** A p99 of fewer is chance. */
const neighbourAskedMin = 1000;
/** Agents and workloads stand on machines of their own; here they share two cores with the issuer, and yield to it. */
const elsewhere = 10;

export async function measureRestart(mesh: Mesh, workloads: number, warmUpSeconds: number): Promise<Restart> {
  const west = await mesh.startWest();
  await using storm = startDriver("./drive-restart.ts", mesh.plan);
  await using neighbour = startDriver("./drive-restart.ts", west.plan);
  for (const pid of [storm.pid, mesh.agent.pid]) setPriority(pid, elsewhere);

  const some = Math.max(400, Math.ceil(workloads / 10));
  const restart = async (count: number): Promise<Ran> => await ran(storm, { kind: "restart", count, batch: 0 });
  const ask = async (count: number): Promise<readonly number[]> =>
    (await ran(neighbour, { kind: "steady", count, batch: neighbourPerSecond })).latenciesMs;
  // The same again until everything is warm.
  for (let warmMs = 0; warmMs < warmUpSeconds * 1000; ) warmMs += (await restart(some)).wallMicros / 1000;
  await ask(neighbourPerSecond * 4);

  const saturatedPerSecond = perSecondOf(await restart(some), some);
  const asked = Math.max(neighbourAskedMin, Math.ceil((workloads / saturatedPerSecond) * neighbourPerSecond * 0.9));
  const before = await ask(Math.ceil(asked / 2));
  await storm.prepare({ kind: "restart", count: workloads, batch: 0 });
  await neighbour.prepare({ kind: "steady", count: asked, batch: neighbourPerSecond });
  const [all, stormMs] = await Promise.all([storm.run(), neighbour.run()]);
  await Promise.all([storm.check(), neighbour.check()]);
  const after = await ask(Math.ceil(asked / 2));
  const quietMs = [...before, ...after].toSorted((a, b) => a - b);
  return {
    workloads,
    askedAgain: all.again ?? 0,
    seconds: all.wallMicros / 1e6,
    perSecond: perSecondOf(all, workloads),
    saturatedPerSecond,
    p50Seconds: at(all.latenciesMs, 0.5) / 1000,
    p99Seconds: at(all.latenciesMs, 0.99) / 1000,
    neighbour: {
      perSecond: neighbourPerSecond,
      asked,
      quiet: { p50Ms: at(quietMs, 0.5), p99Ms: at(quietMs, 0.99) },
      storm: { p50Ms: at(stormMs.latenciesMs, 0.5), p99Ms: at(stormMs.latenciesMs, 0.99) },
      ratio: at(stormMs.latenciesMs, 0.99) / at(quietMs, 0.99),
    },
  };
}

async function ran(driver: Driver, order: Parameters<Driver["prepare"]>[0]): Promise<Ran> {
  await driver.prepare(order);
  const result = await driver.run();
  await driver.check();
  return result;
}

function perSecondOf({ wallMicros }: Ran, count: number): number {
  return (count * 1e6) / wallMicros;
}

export function toText(restart: Restart): string {
  const { neighbour, ...all } = restart;
  const [quiet, storm] = [neighbour.quiet, neighbour.storm];
  return `(d) ${all.workloads} workloads of one tenant start at once
    all served after ${all.seconds.toFixed(1)} s, half of them after ${all.p50Seconds.toFixed(1)} s; asked again ${all.askedAgain} times
    ${all.perSecond.toFixed(0)}/s while they waited; saturated ${all.saturatedPerSecond.toFixed(0)}/s; ratio ${(all.perSecond / all.saturatedPerSecond).toFixed(2)} (goal ${drainRatioMin})
    another tenant, ${neighbour.perSecond}/s, ${neighbour.asked} certificates: p50 ${quiet.p50Ms.toFixed(1)} ms quiet, ${storm.p50Ms.toFixed(1)} in the storm;
    p99 ${quiet.p99Ms.toFixed(1)} ms quiet, ${storm.p99Ms.toFixed(1)} in the storm; ratio ${neighbour.ratio.toFixed(2)} (goal ${neighbourRatioMax})
`;
}
