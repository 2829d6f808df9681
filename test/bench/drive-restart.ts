/**
 * Drives an agent as ztunnels do whose workloads all start at once: each node has one connection and eight CSRs on their way, and what
 * is refused is asked again after a second, then two, and so on. Or, of kind `steady`, so many in a second, whatever the answers.
 */
import type { ClientHttp2Session } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { type Answer, checkAnswers } from "./check.ts";
import { type Order, serveDriver } from "./driver.ts";
import type { MeshPlan } from "./mesh.ts";
import { openWork } from "./work.ts";
import { ask, type Call, connectTo, Refused, resourceExhausted, toCall, unavailable } from "./workload.ts";

const workloadsPerNode = 200;
/** A ztunnel's own limit. */
const inFlightPerNode = 8;
/** What it waits after a refusal, each time twice as long, up to a limit. */
const backoffMs = { first: 1000, most: 150_000 };
/** Connections of a `steady` run. */
const steadyConnections = 4;

const plan: MeshPlan = JSON.parse(process.argv.at(-1) ?? "");
const makeWork = openWork(plan);

let order: Order = { kind: "", count: 0, batch: 0 };
/** Kept: a driver weighs the same in all of its runs. */
let made: readonly Call[] = [];
let calls: readonly Call[] = [];
let answers: Answer[] = [];

/** A connection that is made when it is needed, and anew after it broke. */
function openNode(n: number): () => ClientHttp2Session {
  let session: ClientHttp2Session | undefined;
  return () => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    session = connectTo(plan, `127.1.${n >> 8}.${n & 255}`);
    // Whoever waits on it hears of it.
    session.on("error", () => {});
    return session;
  };
}

/** False where it is worth asking again. @throws what is no passing refusal. */
async function served(call: Call, session: ClientHttp2Session): Promise<boolean> {
  try {
    answers.push(await ask(session, call));
    return true;
  } catch (error) {
    const lasting = error instanceof Refused && error.status !== unavailable && error.status !== resourceExhausted;
    if (lasting) throw error;
    return false;
  }
}

/** At most so many at once; the rest wait in their order. */
function openSlots(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

/** Resolves with how often somebody had to ask again; each latency is from the start of all. */
async function restart(latencies: number[]): Promise<number> {
  const began = performance.now();
  let again = 0;
  const node = async (n: number): Promise<void> => {
    const session = openNode(n);
    const slot = openSlots(inFlightPerNode);
    const workload = async (call: Call): Promise<void> => {
      let pauseMs: number = backoffMs.first;
      // A workload that waits holds nobody's place.
      while (!(await slot(async () => await served(call, session())))) {
        again += 1;
        await delay(pauseMs * (0.8 + 0.4 * Math.random()));
        pauseMs = Math.min(pauseMs * 2, backoffMs.most);
      }
      latencies.push(performance.now() - began);
    };
    await Promise.all(calls.slice(n * workloadsPerNode, (n + 1) * workloadsPerNode).map(workload));
  };
  await Promise.all(Array.from({ length: Math.ceil(calls.length / workloadsPerNode) }, (_, n) => node(n)));
  return again;
}

/** `batch` in a second. Latencies count from when it was time to ask, so that a pause of ours hides none of theirs. */
async function steady(latencies: number[]): Promise<void> {
  const began = performance.now();
  const nodes = Array.from({ length: steadyConnections }, (_, n) => openNode(n));
  const asked = calls.map(async (call, n) => {
    const dueMs = (n * 1000) / order.batch;
    await delay(Math.max(0, dueMs - (performance.now() - began)));
    const session = nodes[n % nodes.length];
    if (session === undefined) return;
    answers.push(await ask(session(), call));
    latencies.push(performance.now() - began - dueMs);
  });
  await Promise.all(asked);
}

serveDriver({
  prepare: async (next) => {
    order = next;
    const more = await makeWork(Math.max(0, order.count - made.length));
    made = [...made, ...more.map(toCall)];
    calls = made.slice(0, order.count);
  },
  run: async () => {
    answers = [];
    const latenciesMs: number[] = [];
    if (order.kind === "steady") await steady(latenciesMs);
    else return { latenciesMs, again: await restart(latenciesMs) };
    return { latenciesMs };
  },
  check: () => checkAnswers(answers, calls.length),
});
