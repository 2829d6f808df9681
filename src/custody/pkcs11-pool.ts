/**
 * Sessions with a PKCS #11 token: a few processes, each with one job at a time. What waits is bounded in number and in time; a
 * process that hangs, crashes or loses its session is replaced, and the job that it had is tried once more.
 */
import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Refusal } from "../errors.ts";
import { type Answer, isAnswer, type Job, type Request } from "./pkcs11-messages.ts";
import type { TokenAddress } from "./pkcs11-token.ts";

export interface PoolConfig {
  readonly address: TokenAddress;
  readonly sessions: number;
  /** How long a signature may take, waiting included. */
  readonly deadlineMs: number;
}

export interface Pool extends AsyncDisposable {
  /** @throws Refusal `unavailable` when the token cannot be used now, and what the token's process refuses. */
  ask(job: Job): Promise<Answer>;
}

/** Beside those at work. */
const waitingMax = 4096;
/** For all but signatures: a token makes an RSA-4096 key in up to a minute. */
const slowDeadlineMs = 120_000;
/** Between two processes of one place, so that a token that is away does not cost a core. */
const restartMs = 1000;
const triesMax = 2;

interface Order {
  readonly job: Job;
  tries: number;
  done(answer: Answer | Refusal): void;
}

interface Place {
  child?: ChildProcess;
  /** Whether that one has logged in. */
  ready: boolean;
  order?: Order;
  startedAt: number;
}

export function openPool({ address, sessions, deadlineMs }: PoolConfig): Pool {
  const places: readonly Place[] = Array.from({ length: sessions }, () => ({ ready: false, startedAt: -restartMs }));
  const waiting: Order[] = [];
  /** A PIN that was refused once is not tried again: the token may allow only a few. */
  let barred: Refusal | undefined;
  let closed = false;
  let wake: NodeJS.Timeout | undefined;

  function next(): void {
    for (;;) {
      const [order] = waiting;
      // One login at a time: with a wrong PIN each would be a try.
      const place = places.find(isFree) ?? (places.some(isNew) ? undefined : places.find(mayStart));
      if (order === undefined || place === undefined) break;
      waiting.shift();
      give(place, order);
    }
    const idle = places.filter(({ order }) => order === undefined).map(({ startedAt }) => startedAt);
    // Whoever is at work, or logs in, comes back here.
    if (waiting.length === 0 || idle.length === 0 || places.some(isNew)) return;
    const inMs = Math.max(0, Math.min(...idle) + restartMs - performance.now());
    wake ??= setTimeout(() => {
      wake = undefined;
      next();
    }, inMs);
  }

  function give(place: Place, order: Order): void {
    place.order = order;
    order.tries += 1;
    place.child ??= start(place);
    const request: Request = { address, job: order.job };
    place.child.send(request);
  }

  function start(place: Place): ChildProcess {
    place.startedAt = performance.now();
    place.ready = false;
    const child = fork(processFile, [], {
      execArgv: ["--experimental-ffi", "--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      // A module may write anything, its own log of what it was given among it.
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child.on("message", (message: unknown) => {
      if (isAnswer(message)) take(place, child, message);
    });
    const ended = (message: string): void => take(place, child, { kind: "lost", message });
    child.on("error", (error) => ended(error.message));
    child.on("exit", (code, signal) =>
      ended(`its process ended (${signal ?? code})${code === badOption ? needsNode : ""}`),
    );
    return child;
  }

  function take(place: Place, child: ChildProcess, answer: Answer): void {
    if (place.child !== child) return;
    const { order } = place;
    delete place.order;
    place.ready = answer.kind !== "refused" || !answer.barred;
    if (answer.kind === "lost") {
      delete place.child;
      child.kill("SIGKILL");
    }
    if (order !== undefined) settle(order, answer);
    next();
  }

  function settle(order: Order, answer: Answer): void {
    if (answer.kind === "lost") {
      // A key may have been made all the same, and its name be taken.
      if (order.tries < triesMax && order.job.verb !== "create") return void waiting.unshift(order);
      return order.done(toUnavailable(answer.message));
    }
    if (answer.kind !== "refused") return order.done(answer);
    const refusal = new Refusal(answer.code, answer.message);
    order.done(refusal);
    if (!answer.barred) return;
    barred = refusal;
    for (const other of waiting.splice(0)) other.done(refusal);
  }

  function expire(order: Order): void {
    const place = places.find((one) => one.order === order);
    const at = waiting.indexOf(order);
    if (at >= 0) waiting.splice(at, 1);
    order.done(toUnavailable("no answer in time"));
    if (place?.child !== undefined) {
      delete place.order;
      take(place, place.child, { kind: "lost", message: "" });
    }
  }

  return {
    async ask(job) {
      if (barred !== undefined) throw barred;
      if (closed) throw toUnavailable("it is being closed");
      if (waiting.length >= waitingMax) throw new Refusal("overloaded", "too much waits for the token");
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const order: Order = {
        job,
        tries: 0,
        done: (answer) => (answer instanceof Refusal ? reject(answer) : resolve(answer)),
      };
      const timer = setTimeout(() => expire(order), job.verb === "sign" ? deadlineMs : slowDeadlineMs);
      waiting.push(order);
      next();
      return await promise.finally(() => clearTimeout(timer));
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(wake);
      for (const { order } of places) order?.done(toUnavailable("it is being closed"));
      for (const order of waiting.splice(0)) order.done(toUnavailable("it is being closed"));
      await Promise.all(places.map(close));
    },
  };
}

function isFree({ child, order }: Place): boolean {
  return child !== undefined && order === undefined;
}

function isNew({ child, ready }: Place): boolean {
  return child !== undefined && !ready;
}

function mayStart({ child, order, startedAt }: Place): boolean {
  return child === undefined && order === undefined && performance.now() - startedAt >= restartMs;
}

/** What Node exits with for an option that it does not know. */
const badOption = 9;
const needsNode = ": custody.pkcs11 needs Node 26.1 or later";

const processFile = fileURLToPath(new URL(`./pkcs11-process${extname(import.meta.url)}`, import.meta.url));

function toUnavailable(why: string): Refusal {
  return new Refusal("unavailable", `the token cannot be used now: ${why}`);
}

const closeMs = 2000;

/** Lets it log out; one that hangs is ended. */
async function close(place: Place): Promise<void> {
  const { child } = place;
  delete place.child;
  if (child === undefined) return;
  const ended = Promise.withResolvers<void>();
  child.once("exit", () => ended.resolve());
  const timer = setTimeout(() => child.kill("SIGKILL"), closeMs);
  if (child.connected) child.disconnect();
  await ended.promise;
  clearTimeout(timer);
}
