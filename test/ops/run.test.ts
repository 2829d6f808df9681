import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { runUntilSignal } from "../../src/ops/run.ts";

class Exited extends Error {}

/** Signals, and an exit that can be watched. */
function fakeSignals(): EventEmitter & { readonly codes: number[]; exit(code: number): never } {
  const codes: number[] = [];
  return Object.assign(new EventEmitter(), {
    codes,
    exit: (code: number): never => {
      codes.push(code);
      throw new Exited();
    },
  });
}

test("a signal makes it unready, then closes it, then exits", async () => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    const [signals, steps]: [ReturnType<typeof fakeSignals>, string[]] = [fakeSignals(), []];
    const done = runUntilSignal(async () => {
      steps.push("started");
      return {
        unready: () => void steps.push("unready"),
        [Symbol.asyncDispose]: async () => void steps.push("closed"),
      };
    }, signals);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(steps, ["started"]);
    signals.emit(signal);
    await assert.rejects(done, Exited);
    assert.deepEqual([steps, signals.codes], [["started", "unready", "closed"], [0]]);
  }
});

test("a second signal exits at once", async () => {
  const signals = fakeSignals();
  void runUntilSignal(
    async () => ({ unready: () => {}, [Symbol.asyncDispose]: async () => await new Promise<never>(() => {}) }),
    signals,
  );
  await new Promise((resolve) => setImmediate(resolve));
  signals.emit("SIGTERM");
  assert.throws(() => signals.emit("SIGTERM"), Exited);
  assert.deepEqual(signals.codes, [1]);
});

test("a signal exits at once while it still starts", async () => {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    const signals = fakeSignals();
    void runUntilSignal(async () => await new Promise<never>(() => {}), signals);
    assert.throws(() => signals.emit(signal), Exited);
    assert.deepEqual(signals.codes, [0]);
  }
});

test("what does not start is told to whoever started it", async () => {
  const failing = runUntilSignal(async () => await Promise.reject(new Error("no database")), fakeSignals());
  await assert.rejects(failing, /no database/);
});
