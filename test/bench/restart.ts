/**
 * (d) All workloads of one tenant start at once, and another tenant, with an agent of its own, asks as it always does. Agents and
 * workloads stand on machines of their own elsewhere. Here the issuer has a processor to itself and all the rest another, on which
 * the storm's own processes get what the other tenant's leave.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Driver, type Ran, startDriver } from "./driver.ts";
import { at } from "./measure.ts";
import type { Mesh } from "./mesh.ts";
import { dividedProcessors, letOthersFirst, placeOn } from "./place.ts";

export interface Restart {
  readonly workloads: number;
  /** Those who were told to ask again, and did. */
  readonly askedAgain: number;
  readonly seconds: number;
  /** While the backlog drained; and of a tenth as many, beside the same neighbour: what the machine can do. */
  readonly perSecond: number;
  readonly saturatedPerSecond: number;
  /** From the start of all to its certificate. */
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  /** The other tenant's, in every condition. */
  readonly neighbour: {
    readonly perSecond: number;
    /** Nobody else asks: before all others, and after. */
    readonly quiet: Condition;
    /** Workloads start at once on the same machine, but at another hub: what of it is not the issuer's doing. */
    readonly elsewhere: Condition;
    readonly storm: Condition;
    /** The storm's cluster keeps the issuer itself as busy as can be, over bare Sign streams. */
    readonly flood: Condition;
    /** Of p99: the storm's to the quiet one. */
    readonly ratio: number;
    readonly floodRatio: number;
  };
}

export interface Condition {
  readonly asked: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Part of the time in which the issuer had its processor. */
  readonly busy: number;
}

/** Of the neighbour's p99. */
export const neighbourRatioMax = 1.5;
/** Of the rate at which the backlog drains to the saturated one. */
export const drainRatioMin = 0.8;

const neighbourPerSecond = 50;
/** The p99 of so few is chance: that takes a storm of some 50,000. */
const neighbourAskedMin = 100;
/** Certificates of the flood's rounds, the same ones in each. */
const flood = { count: 3200, batch: 32 };

export async function measureRestart(
  start: () => Promise<Mesh>,
  workloads: number,
  warmUpSeconds: number,
): Promise<Restart> {
  await using mesh = await start();
  const west = await mesh.startWest();
  await using elsewhere = await start();
  await using storm = startDriver("./drive-restart.ts", mesh.plan);
  await using other = startDriver("./drive-restart.ts", elsewhere.plan);
  await using flooder = startDriver("./drive-signing.ts", mesh.plan);
  await using neighbour = startDriver("./drive-restart.ts", west.plan);
  const behind = [storm, mesh.agent, other, elsewhere.agent, elsewhere.issuer, flooder];
  await divide(mesh, [west.agent, neighbour], behind);

  const some = Math.max(400, Math.ceil(workloads / 10));
  // All of it at the beginning, so that fewer are asked for by a driver that has as much in its memory.
  for (const count of [workloads, some]) await storm.prepare({ kind: "restart", count, batch: 0 });
  await other.prepare({ kind: "restart", count: some, batch: 0 });
  await flooder.prepare({ kind: "stage", ...flood });
  // The same again until everything is warm.
  for (const driver of [other, flooder, storm]) await again(driver, { ms: (warmUpSeconds * 1000) / 3 });
  for (const driver of [storm, other, flooder]) await driver.check();
  await ran(neighbour, neighbourPerSecond * 4);

  // Beside the neighbour too: what it takes of the machine is not the backlog's doing.
  await neighbour.prepare({ kind: "steady", count: neighbourPerSecond, batch: neighbourPerSecond });
  const saturating = saturated(storm, some);
  await again(neighbour, { until: saturating });
  const saturatedPerSecond = await saturating;
  // Only while the storm lasts.
  const asked = Math.max(neighbourAskedMin, Math.ceil((workloads / saturatedPerSecond) * neighbourPerSecond * 0.9));
  /** The neighbour beside something else. */
  const beside = async (count: number, work: (until: Promise<unknown>) => Promise<void>): Promise<Measured> => {
    await neighbour.prepare({ kind: "steady", count, batch: neighbourPerSecond });
    const used = mesh.issuer.cpuMicros();
    const running = neighbour.run().then(({ latenciesMs, wallMicros }) => {
      return { latenciesMs, busy: (mesh.issuer.cpuMicros() - used) / wallMicros };
    });
    await work(running);
    const measured = await running;
    await neighbour.check();
    return measured;
  };
  const before = await beside(Math.ceil(asked / 2), async () => {});
  const atOther = await beside(asked, async (until) => await again(other, { until }));
  const flooded = await beside(asked, async (until) => await again(flooder, { until }));
  await storm.prepare({ kind: "restart", count: workloads, batch: 0 });
  let all: Ran | undefined;
  const stormed = await beside(asked, async () => {
    all = await storm.run();
  });
  await storm.check();
  const after = await beside(Math.ceil(asked / 2), async () => {});
  if (all === undefined) throw new Error("the storm has not said how it was");

  const quiet = toCondition([before, after]);
  const [inStorm, inFlood] = [toCondition([stormed]), toCondition([flooded])];
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
      quiet,
      elsewhere: toCondition([atOther]),
      storm: inStorm,
      flood: inFlood,
      ratio: inStorm.p99Ms / quiet.p99Ms,
      floodRatio: inFlood.p99Ms / quiet.p99Ms,
    },
  };
}

interface Process {
  readonly pid: number;
}

/** With one processor there is nothing to divide, and the figures say more of it than of the issuer. */
async function divide({ issuer }: Mesh, others: readonly Process[], behind: readonly Process[]): Promise<void> {
  const processors = dividedProcessors();
  for (const { pid } of behind) await letOthersFirst(pid);
  if (processors === undefined) return;
  await placeOn(processors.issuer, issuer.pid);
  for (const { pid } of [...others, ...behind]) await placeOn(processors.others, pid);
}

interface Measured extends Pick<Ran, "latenciesMs"> {
  readonly busy: number;
}

function toCondition(runs: readonly Measured[]): Condition {
  const all = runs.flatMap(({ latenciesMs }) => latenciesMs).toSorted((a, b) => a - b);
  const busy = runs.reduce((sum, run) => sum + run.busy, 0) / runs.length;
  return { asked: all.length, p50Ms: at(all, 0.5), p99Ms: at(all, 0.99), busy };
}

/** What is prepared, until something else is over or so much time has passed. */
async function again(
  driver: Driver,
  end: { readonly until: Promise<unknown> } | { readonly ms: number },
): Promise<void> {
  const over = "until" in end ? end.until.then(() => true) : delay(end.ms, true);
  const goesOn = async (): Promise<boolean> => !(await Promise.race([over, Promise.resolve(false)]));
  do await driver.run();
  while (await goesOn());
}

async function saturated(storm: Driver, count: number): Promise<number> {
  const rates: number[] = [];
  for (let n = 0; n < 2; n++) {
    rates.push(perSecondOf(await storm.run(), count));
    await storm.check();
  }
  return Math.max(...rates);
}

async function ran(driver: Driver, count: number): Promise<void> {
  await driver.prepare({ kind: "steady", count, batch: neighbourPerSecond });
  await driver.run();
}

function perSecondOf({ wallMicros }: Ran, count: number): number {
  return (count * 1e6) / wallMicros;
}

export function toText(restart: Restart): string {
  const { neighbour, ...all } = restart;
  const row = (what: string, { asked, p50Ms, p99Ms, busy }: Condition): string =>
    [
      what.padEnd(36),
      `${asked}`.padStart(6),
      p50Ms.toFixed(1).padStart(8),
      p99Ms.toFixed(1).padStart(8),
      (p99Ms / neighbour.quiet.p99Ms).toFixed(2).padStart(6),
      `${(busy * 100).toFixed(0)} %`.padStart(6),
    ].join("");
  return `(d) ${all.workloads} workloads of one tenant start at once
    all served after ${all.seconds.toFixed(1)} s, half of them after ${all.p50Seconds.toFixed(1)} s; asked again ${all.askedAgain} times
    ${all.perSecond.toFixed(0)}/s while they waited; saturated ${all.saturatedPerSecond.toFixed(0)}/s; ratio ${(all.perSecond / all.saturatedPerSecond).toFixed(2)} (goal ${drainRatioMin})
    another tenant, ${neighbour.perSecond}/s:
    ${" ".repeat(36)} asked  p50 ms  p99 ms ratio  issuer
    ${row("nobody else", neighbour.quiet)}
    ${row("a storm at another hub", neighbour.elsewhere)}
    ${row("the storm", neighbour.storm)}
    ${row("its cluster floods the issuer itself", neighbour.flood)}
    the storm's ratio: ${neighbour.ratio.toFixed(2)} (goal ${neighbourRatioMax})
`;
}
