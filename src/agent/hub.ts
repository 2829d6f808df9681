/**
 * The agent's way to the issuers: several connections, each with one long stream. A request goes where least waits; when a
 * connection breaks, what was on it goes to another; when none answers in time, the answer is UNAVAILABLE.
 */
import { Refusal } from "../errors.ts";
import type { SignItem } from "../rpc/gen/espalier/v1/SignItem.ts";
import { openQueue } from "../rpc/queue.ts";
import { type Lane, type LaneParts, openLane, type Pending } from "./lane.ts";

/** A signed leaf and what stands above it, as the issuer sent it. DER. */
export interface SignedLeaf {
  readonly leaf: Uint8Array;
  readonly chain: {
    readonly authority: string;
    readonly intermediates: readonly Uint8Array[];
    readonly bundle: readonly Uint8Array[];
    readonly bundleVersion: string;
  };
}

export type Ask = Omit<SignItem, "id" | "deadlineMs" | "proof">;

export interface Hub extends AsyncDisposable {
  /**
   * Who waits takes turns with those of other lines: the namespace that was proven, or none.
   * @throws Refusal as the issuer gave it, `overloaded` or `unavailable`.
   */
  sign(ask: Ask, line?: string): Promise<SignedLeaf>;
  /** Opens new connections with new credentials and lets the old ones finish. */
  reconnect(): void;
  connected(): number;
}

export interface HubParts extends Omit<LaneParts, "onUsable" | "onBroken"> {
  readonly addresses: readonly string[];
  readonly channelsPerIssuer: number;
  readonly deadlineMs: number;
}

/** Requests that wait for a connection at most; each is one CSR and one token. */
const waitingMax = 4096;

export function openHub(parts: HubParts): Hub {
  let lanes: Lane[] = [];
  const waiting = openQueue<Pending>(waitingMax);

  const submit = (pending: Pending): void => {
    let best: Lane | undefined;
    for (const lane of lanes) if (lane.usable() && (best === undefined || lane.load() < best.load())) best = lane;
    if (best !== undefined) return best.submit(pending);
    const givenUp = waiting.push(pending.line, 1, pending);
    givenUp?.reject(new Refusal("overloaded", "no issuer is connected and too much waits already"));
  };

  const submitAll = (all: readonly Pending[]): void => {
    for (const pending of all) if (!pending.settled()) submit(pending);
  };

  const onUsable = (): void => submitAll(waiting.take(waitingMax));

  const openAll = (): Lane[] =>
    parts.addresses.flatMap((address) =>
      Array.from({ length: parts.channelsPerIssuer }, () =>
        openLane(address, { ...parts, onUsable, onBroken: submitAll }),
      ),
    );

  lanes = openAll();
  return {
    sign: (ask, line = "") =>
      new Promise((resolve, reject) => {
        const deadline = parts.now().getTime() + parts.deadlineMs;
        let open = true;
        const settle = (): void => {
          open = false;
          clearTimeout(timer);
        };
        const pending: Pending = {
          ask,
          line,
          deadline,
          settled: () => !open,
          resolve: (signed) => {
            settle();
            resolve(signed);
          },
          reject: (refusal) => {
            settle();
            reject(refusal);
          },
        };
        const timer = setTimeout(() => {
          waiting.remove(line, pending);
          pending.reject(new Refusal("unavailable", `no issuer answered within ${parts.deadlineMs} ms`));
        }, parts.deadlineMs);
        submit(pending);
      }),
    reconnect: () => {
      const old = lanes;
      lanes = openAll();
      for (const lane of old) void lane.finish();
    },
    connected: () => lanes.filter((lane) => lane.usable()).length,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(lanes.map((lane) => lane.finish()));
    },
  };
}
