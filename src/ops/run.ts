/** The life of a process: run until a signal, become unready, drain, close in reverse. A second signal exits at once. */

/** Runs `start`, waits for SIGTERM or SIGINT, calls `unready`, disposes what `start` returned, and exits. */
export async function runUntilSignal(
  start: () => Promise<AsyncDisposable & { unready(): void }>,
  signals: { on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown; exit(code: number): never },
): Promise<void> {
  const running = await start();
  await new Promise<void>((resolve) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) signals.exit(1);
      stopping = true;
      resolve();
    };
    signals.on("SIGTERM", stop);
    signals.on("SIGINT", stop);
  });
  running.unready();
  await running[Symbol.asyncDispose]();
  // grpc-js forgets the socket of a client that is closed while it connects, and Node waits for sockets.
  signals.exit(0);
}
