/** The three measurements. Rounds of their parts alternate, with the floor between them, so that what else the machine does hits all alike. */
import { type Driver, type Order, type Ran, startDriver } from "./driver.ts";
import { type Floor, openFloor } from "./floor.ts";
import type { Mesh } from "./mesh.ts";
import type { Server } from "./server.ts";

/** One line of the result; a median over the rounds, in microseconds of CPU for each certificate unless it says otherwise. */
export interface Row {
  readonly part: "a" | "b" | "c";
  readonly what: string;
  readonly certificates: number;
  readonly issuerMicros?: number;
  readonly agentMicros?: number;
  /** Of all our processes together. */
  readonly micros: number;
  /** With all keys loaded, which is what the goal is of; and with the CSR's key to be read. */
  readonly floor?: Floor;
  /** Each floor in relation to the measured. */
  readonly ratio?: Floor;
  readonly perSecond: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

const rounds = 5;
/**
 * Of (a), for each second of load: a neighbour on the host makes all dearer by a third for some seconds, and in a fifth of one the
 * floor and what it is the floor of meet the same.
 */
const stageRoundsPerSecond = 5;
/** Before and after each round, behind some that only bring its code back. */
const floorIterations = 192;
const floorWarmUp = 64;
/** Orders of magnitude only: how many certificates make about a second of load. */
const perSecond = { stage: 2000, persistent: 1000, new: 500, ledger: 8000 };

/** How long, in seconds: what load counts, and what comes before it, so that a process is measured as it runs all day. */
export interface Spans {
  readonly load: number;
  readonly warmUp: number;
}

interface Part {
  readonly what: string;
  readonly order: Order;
}

interface Sample {
  readonly ran: Ran;
  /** For each certificate, in the order of the servers. */
  readonly micros: readonly number[];
  readonly floor: Floor;
}

/** (a) The issuer alone, over the Sign stream. */
export async function measureStage(mesh: Mesh, spans: Spans, batches: readonly number[]): Promise<readonly Row[]> {
  const stageRounds = Math.ceil((spans.load * stageRoundsPerSecond) / batches.length);
  const parts = batches.map((batch) => ({
    what: `issuer, batch ${batch}`,
    order: { kind: "stage", batch, count: roundUp(perSecond.stage / stageRoundsPerSecond, 32) },
  }));
  await using driver = startDriver("./drive-signing.ts", mesh.plan);
  const samples = await alternate(driver, parts, [mesh.issuer], spans, stageRounds);
  return parts.map(({ what, order }, n) => {
    const all = samples[n] ?? [];
    const micros = median(all.map((s) => s.micros[0] ?? 0));
    const of = (value: (sample: Sample) => number): number => median(all.map(value));
    const floor = { loaded: of((s) => s.floor.loaded), read: of((s) => s.floor.read) };
    const ratio = {
      loaded: of(({ floor, micros: [issuer = 0] }) => floor.loaded / issuer),
      read: of(({ floor, micros: [issuer = 0] }) => floor.read / issuer),
    };
    return { part: "a", issuerMicros: micros, micros, floor, ratio, ...common(what, order, all) };
  });
}

/** (b) The whole path, agent and issuer. */
export async function measurePath(mesh: Mesh, spans: Spans): Promise<readonly Row[]> {
  const parts = (["persistent", "new"] as const).map((kind) => ({
    what: `agent and issuer, ${kind} connections`,
    order: { kind, batch: 1, count: roundUp((spans.load * perSecond[kind]) / rounds / 2, 10) },
  }));
  await using driver = startDriver("./drive-workloads.ts", mesh.plan);
  const samples = await alternate(driver, parts, [mesh.issuer, mesh.agent], spans);
  return parts.map(({ what, order }, n) => {
    const all = samples[n] ?? [];
    const [issuerMicros, agentMicros] = [0, 1].map((server) => median(all.map((s) => s.micros[server] ?? 0)));
    const micros = median(all.map((s) => (s.micros[0] ?? 0) + (s.micros[1] ?? 0)));
    const latencies = all.flatMap((s) => s.ran.latenciesMs).toSorted((a, b) => a - b);
    return {
      part: "b",
      issuerMicros: issuerMicros ?? 0,
      agentMicros: agentMicros ?? 0,
      micros,
      p50Ms: at(latencies, 0.5),
      p99Ms: at(latencies, 0.99),
      ...common(what, order, all),
    };
  });
}

/** (c) The ledger alone, and the same bytes appended to a file. */
export async function measureLedger(spans: Spans): Promise<readonly Row[]> {
  const parts = [1, 8, 32, 128].flatMap((batch) =>
    ["ledger", "append"].map((kind) => ({
      what: kind === "ledger" ? `intend and record, batch ${batch}` : `append and fdatasync, batch ${batch}`,
      // The disk's own time is most of it where batches are small.
      order: {
        kind,
        batch,
        count: roundUp((spans.load * perSecond.ledger * Math.min(1, batch / 32)) / rounds / 8, batch),
      },
    })),
  );
  await using driver = startDriver("./drive-ledger.ts", {});
  const samples = await alternate(driver, parts, [], spans);
  return parts.map(({ what, order }, n) => {
    const all = samples[n] ?? [];
    const micros = median(all.map(({ ran }) => ran.cpuMicros / order.count));
    return { part: "c", micros, ...common(what, order, all) };
  });
}

/** Each part in turn, so many rounds, once all are warm. Preparing and checking stand outside the measurement. */
async function alternate(
  driver: Driver,
  parts: readonly Part[],
  servers: readonly Server[],
  spans: Spans,
  roundsOfAll = rounds,
): Promise<Sample[][]> {
  const floorOf = openFloor();
  const measureFloor = (): Floor => {
    floorOf(floorWarmUp);
    return floorOf(floorIterations);
  };
  const samples: Sample[][] = parts.map(() => []);
  // A process that has just started costs half as much again, and after ten thousand certificates still a sixth. What can be
  // asked twice is, so that this is sooner over.
  for (const { order } of parts) {
    await driver.prepare(order);
    for (let ranMs = 0; ranMs < (spans.warmUp * 1000) / parts.length; ) {
      ranMs += (await driver.run()).wallMicros / 1000;
      if (order.kind === "ledger") await driver.prepare(order);
    }
  }
  for (let round = 0; round < roundsOfAll; round++) {
    for (const [n, { order }] of parts.entries()) {
      await driver.prepare(order);
      const floorBefore = measureFloor();
      const before = servers.map((server) => server.cpuMicros());
      const ran = await driver.run();
      const micros = servers.map((server, s) => (server.cpuMicros() - (before[s] ?? 0)) / order.count);
      const floor = mean(floorBefore, measureFloor());
      await driver.check();
      samples[n]?.push({ ran, micros, floor });
    }
  }
  return samples;
}

function common(what: string, order: Order, samples: readonly Sample[]) {
  return {
    what,
    certificates: order.count * samples.length,
    perSecond: median(samples.map(({ ran }) => (order.count * 1e6) / ran.wallMicros)),
  };
}

function mean(a: Floor, b: Floor): Floor {
  return { loaded: (a.loaded + b.loaded) / 2, read: (a.read + b.read) / 2 };
}

export function median(values: readonly number[]): number {
  return at(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

export function at(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function roundUp(count: number, multiple: number): number {
  return Math.max(1, Math.ceil(count / multiple)) * multiple;
}
