/** One soak: real processes, real load, what the plan says happens to them, and the verdict. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { layGround } from "../support/ground.ts";
import { buildImage } from "../support/image.ts";
import { type Load, startLoad } from "../support/load.ts";
import { freePort } from "../support/processes.ts";
import { openRandom } from "../support/random.ts";
import { startRelay } from "../support/relay.ts";
import { type Judged, judge } from "./judge.ts";
import { type Member, startMember } from "./member.ts";
import { agents, drawPlan, type Event, issuers, type Name, type Plan } from "./plan.ts";
import { startTrio, type Trio } from "./trio.ts";

const progressMs = 10_000;
/** For the sequencer to place what came last: a leader that was killed is followed after ten seconds. */
const placedMsMax = 60_000;

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Seconds between two kills; if absent, what this machine can take. */
  readonly every: number | undefined;
}

/** Of the slowest start: faster than this on a machine of few cores, most processes are down at any time, and nothing is tried. */
const startsPerKill = 2;
/** Where a start takes longer the machine has too much else to do, and how many calls succeed is its figure and not ours. */
const startMsMax = 2000;
/** Of calls while processes are killed: the part that must succeed. */
const successMin = 0.9;

/** `directory` gets everything: files, logs, and what every call came to. */
export async function soak(
  { minutes, seed, every }: SoakOptions,
  directory: string,
  say: (line: string) => void,
): Promise<Judged> {
  await using stack = new AsyncDisposableStack();
  const image = stack.use(await buildImage());
  const trio = stack.use(await startTrio());
  const { port, database } = trio;
  const ground = await layGround({ directory, port, database, synchronousStandby: true, main: image.main });
  const logs = join(directory, "logs");
  mkdirSync(logs);
  const members = new Map<Name, Member>();
  let slowestMs = 0;
  const start = async (name: Name, verb: readonly string[], event: string): Promise<void> => {
    const member = stack.use(startMember(name, [...image.node, ...verb], join(logs, `${name}.log`)));
    members.set(name, member);
    const began = performance.now();
    await member.event(event);
    slowestMs = Math.max(slowestMs, performance.now() - began);
  };

  const ports = [await freePort(), await freePort(), await freePort()];
  const files = [];
  for (const [n, name] of issuers.entries()) files.push(await ground.issuer(name, ports[n] ?? 0));
  await ground.init(issuers[0]);
  for (const [n, name] of issuers.entries()) {
    await start(name, ["issuer", "run", "--config", files[n] ?? ""], "issuer ready");
    if (n === 0) await ground.createRoots(name);
  }
  const doors = [await freePort(), await freePort()];
  for (const [n, name] of agents.entries()) {
    const file = await ground.agent(name, doors[n] ?? 0, ports);
    await start(name, ["agent", "run", "--config", file], "serving workloads");
  }

  const killEverySeconds = every ?? Math.max(1, Math.round((startsPerKill * slowestMs) / 100) / 10);
  const plan = drawPlan(minutes, seed, killEverySeconds);
  const random = openRandom(seed);
  const service = stack.use(await startRelay(() => random.pick(doors)));
  const { stdout: servingRootPem } = await ground.say(issuers[0], "root", "show", "east", "--serving");
  const address = `localhost:${service.port}`;
  const load = startLoad({ address, servingRootPem, token: ground.token, random });
  say(`three issuers, two agents and their database are up, the slowest after ${Math.round(slowestMs)} ms`);
  const mustSucceed = slowestMs > startMsMax ? 0 : successMin;
  if (mustSucceed === 0)
    say(`starts take longer than ${startMsMax} ms here: how many calls succeed is told and not judged`);
  say(`a kill every ${killEverySeconds} s; ${plan.endMs / 1000} s of load begin`);
  const began = performance.now();
  const until = async (atMs: number): Promise<void> => {
    await delay(Math.max(0, atMs - (performance.now() - began)));
  };

  const asking = askAll(plan, load, until);
  const telling = tellProgress(plan, load, until, say);
  await happen(plan.events, members, trio, until, say);
  await Promise.all([asking, telling]);
  load.close();

  const intents =
    "SELECT e.body, s.signature FROM espalier.entries e LEFT JOIN espalier.signatures s ON s.entry = e.id";
  const judged = judge(plan, load.calls, (await trio.sql(`${intents} WHERE e.kind = 'intent'`)).rows, mustSucceed);
  const endings = [...members.values()].flatMap((member) => member.endings);
  const ledger = await judgeLedger(trio, async () => {
    const said = await ground.say(issuers[0], "ledger", "verify", "-o", "json");
    return said.stdout;
  });
  writeFileSync(join(directory, "plan.json"), `${JSON.stringify(plan.events, undefined, 1)}\n`);
  writeFileSync(
    join(directory, "calls.jsonl"),
    load.calls.map(({ startMs, attempts }) => `${JSON.stringify({ startMs, attempts })}\n`).join(""),
  );
  return {
    figures: { killEverySeconds, slowestStartMs: Math.round(slowestMs), ...judged.figures },
    faults: [...judged.faults, ...endings, ...ledger],
  };
}

async function askAll(plan: Plan, load: Load, until: (atMs: number) => Promise<void>): Promise<void> {
  const asked: Promise<void>[] = [];
  for (const atMs of plan.callsAtMs) {
    await until(atMs);
    asked.push(load.call());
  }
  await Promise.all(asked);
}

async function tellProgress(
  plan: Plan,
  load: Load,
  until: (atMs: number) => Promise<void>,
  say: (line: string) => void,
): Promise<void> {
  for (let atMs = progressMs; atMs < plan.endMs; atMs += progressMs) {
    await until(atMs);
    const retried = load.calls.filter(({ attempts }) => attempts.length > 1).length;
    const failed = load.calls.filter(({ held }) => held === undefined).length;
    say(`${atMs / 1000} s: ${load.calls.length} calls, ${retried} of them more than one attempt, ${failed} failed`);
  }
}

/** The database's own events take seconds, in which the killing goes on. */
async function happen(
  events: readonly Event[],
  members: ReadonlyMap<Name, Member>,
  trio: Trio,
  until: (atMs: number) => Promise<void>,
  say: (line: string) => void,
): Promise<void> {
  let slow: Promise<void> = Promise.resolve();
  for (const event of events) {
    await until(event.atMs);
    if (event.kind === "kill") {
      members.get(event.victim)?.kill();
      continue;
    }
    const began = performance.now();
    say(`${event.kind}, at ${Math.round(event.atMs / 1000)} s`);
    slow = slow
      .then(async () => await (event.kind === "restart the database" ? trio.restart() : trio.failOver()))
      .then(() => say(`${event.kind}: done after ${Math.round(performance.now() - began)} ms`));
  }
  await slow;
}

/** Everything has its place in the end, and all of it verifies. */
async function judgeLedger(trio: Trio, verify: () => Promise<string>): Promise<readonly string[]> {
  const end = Date.now() + placedMsMax;
  for (;;) {
    const { rows } = await trio.sql("SELECT count(*)::int AS count FROM espalier.unplaced");
    if (rows[0].count === 0) break;
    if (Date.now() > end) return [`${rows[0].count} entries have no place in their log after ${placedMsMax} ms`];
    await delay(500);
  }
  const { sound, logs }: { readonly sound: boolean; readonly logs: unknown } = JSON.parse(await verify());
  return sound ? [] : [`the ledger does not verify: ${JSON.stringify(logs)}`];
}
