/** Drives an agent as its workloads do: on connections that stay, or a new one for each CSR. */
import { once } from "node:events";
import type { ClientHttp2Session } from "node:http2";
import { type Answer, checkAnswers } from "./check.ts";
import { type Order, serveDriver } from "./driver.ts";
import type { MeshPlan } from "./mesh.ts";
import { openWork } from "./work.ts";
import { ask, type Call, connectTo, toCall } from "./workload.ts";

/** CSRs that are on their way at once, each with a connection of its own. */
const connections = 32;

const plan: MeshPlan = JSON.parse(process.argv.at(-1) ?? "");
const makeWork = openWork(plan);

let calls: readonly Call[] = [];
let answers: Answer[] = [];
let kind = "";
let kept: readonly ClientHttp2Session[] = [];

function open(): ClientHttp2Session {
  const session = connectTo(plan);
  session.on("error", fail);
  return session;
}

/** The parent sees the process end, and what it wrote. */
function fail(error: unknown): never {
  console.error(error);
  process.exit(1);
}

async function askOnce(call: Call): Promise<Answer> {
  const session = open();
  const answer = await ask(session, call);
  session.close();
  return answer;
}

async function run(): Promise<readonly number[]> {
  answers = [];
  const latencies: number[] = [];
  const next = calls.values();
  const line = async (_: unknown, n: number): Promise<void> => {
    const session = kept[n];
    for (const call of next) {
      const start = performance.now();
      answers.push(session === undefined ? await askOnce(call) : await ask(session, call));
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: connections }, line));
  return latencies;
}

async function openKept(): Promise<void> {
  for (const session of kept) session.close();
  kept = kind === "persistent" ? Array.from({ length: connections }, open) : [];
  await Promise.all(kept.map((session) => once(session, "connect")));
}

serveDriver({
  prepare: async (order: Order) => {
    ({ kind } = order);
    calls = (await makeWork(order.count)).map(toCall);
    await openKept();
  },
  run: async () => ({ latenciesMs: await run() }),
  check: () => checkAnswers(answers, calls.length),
});
