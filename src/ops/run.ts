/** The life of a process: run until a signal, become unready, drain, close in reverse. A second signal exits at once. */
import { flushCompileCache } from "node:module";

/**
 * Runs `start`, waits for SIGTERM or SIGINT, calls `unready`, disposes what `start` returned, and exits. A signal that comes before
 * `start` is done exits at once: nothing is in flight yet, and whatever is written survives an end at any point.
 */
export async function runUntilSignal(
  start: () => Promise<AsyncDisposable & { unready(): void }>,
  signals: { on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown; exit(code: number): never },
): Promise<void> {
  let state: "starting" | "running" | "stopping" = "starting";
  const told = Promise.withResolvers<void>();
  const stop = (): void => {
    if (state !== "running") signals.exit(state === "starting" ? 0 : 1);
    state = "stopping";
    told.resolve();
  };
  // From the first moment on: in a container it is process 1, which a signal that nobody listens for does not end.
  signals.on("SIGTERM", stop);
  signals.on("SIGINT", stop);
  const running = await start();
  state = "running";
  // Where node keeps what it has compiled it would do so at the end, and who is killed has none.
  flushCompileCache();
  await told.promise;
  running.unready();
  await running[Symbol.asyncDispose]();
  // grpc-js forgets the socket of a client that is closed while it connects, and Node waits for sockets.
  signals.exit(0);
}
