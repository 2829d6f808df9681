/**
 * The event loop of a schedule, in the place of node's: what waits in it comes by chance, and for the same seed in the same order. Promises
 * go on between two turns. Where all that a piece of code waits for is a timer, an immediate or what it is handed in, nothing else has a say.
 */
import type { Random } from "../support/random.ts";

export interface Turns extends Disposable {
  /** In milliseconds; goes on by turns alone. */
  now(): number;
  pass(milliseconds: number): void;
  /** Something from outside that takes about so long, and comes in no order. `given up` where the process is gone by then. */
  outside(milliseconds: number): Promise<"done" | "given up">;
  turn(): Promise<void>;
  /** Turns until this has settled, one way or the other. @throws Error where it never does. */
  until(settling: Promise<unknown>): Promise<void>;
  /** Whatever waits is gone, as its process is. */
  clear(): void;
}

interface Waiting {
  readonly kind: "timer" | "immediate" | "outside";
  readonly due: number;
  readonly run: () => void;
  /** Where it never comes to that. */
  readonly giveUp?: () => void;
}

const names = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] as const;
/** Of turns: that something else holds the loop for so long, in milliseconds, that several things are due at its end. */
const stalledOften = 0.2;
const stallMs = 40;
const turnsMax = 2000;

/** Nobody else in this process uses timers until it is disposed. */
export function takeTurns(random: Random): Turns {
  const node = Object.fromEntries(names.map((name) => [name, globalThis[name]]));
  const nodeTurn = globalThis.setImmediate;
  const settle = async (): Promise<void> => await new Promise((resolve) => nodeTurn(resolve));
  const waiting = new Set<Waiting>();
  let now = 0;

  const wait = (one: Waiting): Waiting => {
    waiting.add(one);
    return one;
  };
  const cancel = (one: Waiting | undefined): void => void (one !== undefined && waiting.delete(one));
  Object.assign(globalThis, {
    setTimeout: (run: () => void, milliseconds = 0) =>
      wait({ kind: "timer", due: now + Math.max(1, milliseconds), run }),
    setImmediate: (run: () => void) => wait({ kind: "immediate", due: now, run }),
    clearTimeout: cancel,
    clearImmediate: cancel,
  });

  /** As in node, timers come in the order of their times and immediates in their own; who of them is first, nobody knows. */
  const next = (): readonly Waiting[] => {
    const due = [...waiting].filter((one) => one.due <= now).sort((a, b) => a.due - b.due);
    const firsts = (["timer", "immediate"] as const).flatMap((kind) => due.find((one) => one.kind === kind) ?? []);
    return [...firsts, ...due.filter(({ kind }) => kind === "outside")];
  };
  const turn = async (): Promise<void> => {
    if (random.next() < stalledOften) now += stallMs * random.next();
    if (waiting.size > 0) {
      if (next().length === 0) now = Math.min(...[...waiting].map(({ due }) => due));
      const one = random.pick(next());
      cancel(one);
      one.run();
    }
    await settle();
  };
  return {
    now: () => now,
    pass: (milliseconds) => {
      now += milliseconds;
    },
    outside: async (milliseconds) =>
      await new Promise((resolve) => {
        const due = now + milliseconds * random.next();
        wait({ kind: "outside", due, run: () => resolve("done"), giveUp: () => resolve("given up") });
      }),
    turn,
    until: async (settling) => {
      const open = new Set([settling]);
      const done = (): void => open.clear();
      settling.then(done, done);
      await settle();
      for (let turns = 0; open.size > 0; turns += 1) {
        // What is done again and again does not end; nothing that somebody waits for takes so long.
        if (turns > turnsMax) throw new Error("somebody waits, and is never answered");
        await turn();
      }
    },
    clear: () => {
      const all = [...waiting];
      waiting.clear();
      for (const { giveUp } of all) giveUp?.();
    },
    [Symbol.dispose]: () => void Object.assign(globalThis, node),
  };
}
