/** One end of a bidirectional stream, without the library's own types. */
import type { Refusal } from "../errors.ts";

export interface Stream<In, Out> {
  /** Called for each message, in order. */
  onMessage(take: (message: In) => void): void;
  /** Each is called once, when the other end is gone for whatever reason. */
  onEnd(ended: (error?: unknown) => void): void;
  /** `flushed` is called when the message has left our buffers. */
  write(message: Out, flushed?: () => void): void;
  /** Stops and resumes reading: the other end then feels HTTP/2's flow control. */
  pause(): void;
  resume(): void;
  end(): void;
  fail(error: Refusal): void;
}

/** What both of the library's duplex calls are. */
interface Wire<In, Out> {
  on(event: "data", take: (message: In) => void): unknown;
  on(event: "end" | "close" | "cancelled" | "error", notify: (error?: unknown) => void): unknown;
  write(message: Out, flushed: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export function toStream<In, Out>(
  call: Wire<In, Out>,
  end: () => void,
  fail: (error: Refusal) => void,
): Stream<In, Out> {
  let ended = false;
  return {
    onMessage: (take) => void call.on("data", take),
    onEnd: (notify) => {
      let told = false;
      const once = (error?: unknown): void => {
        ended = true;
        if (told) return;
        told = true;
        notify(error);
      };
      call.on("error", (error) => once(error));
      call.on("end", () => once());
      call.on("close", () => once());
      call.on("cancelled", () => once());
    },
    write: (message, flushed) => {
      if (!ended) call.write(message, () => flushed?.());
    },
    pause: () => void call.pause(),
    resume: () => void call.resume(),
    end,
    fail,
  };
}
