/**
 * One connection to one issuer and the Sign stream on it. What comes in one turn of the loop goes out in one batch; what has to
 * wait takes turns by its line.
 */
import { isRefusalCode, Refusal } from "../errors.ts";
import type { Log } from "../ops/log.ts";
import {
  type ClientTls,
  closeClient,
  type IssuerClient,
  openIssuer,
  openSignStream,
  whenConnected,
} from "../rpc/client.ts";
import type { SignBatch } from "../rpc/gen/espalier/v1/SignBatch.ts";
import type { SignItem } from "../rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies__Output } from "../rpc/gen/espalier/v1/SignReplies.ts";
import { openQueue } from "../rpc/queue.ts";
import { readStatus } from "../rpc/status.ts";
import type { Stream } from "../rpc/stream.ts";
import type { Ask, SignedLeaf } from "./hub.ts";

export interface Pending {
  readonly ask: Ask;
  readonly line: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  settled(): boolean;
  resolve(signed: SignedLeaf): void;
  reject(refusal: Refusal): void;
}

export interface Lane {
  usable(): boolean;
  /** Requests on it now. */
  load(): number;
  submit(pending: Pending): void;
  /** Takes nothing more, and closes once all is answered. */
  finish(): Promise<void>;
}

export interface LaneParts {
  /** Undefined as long as the agent has no certificate. */
  readonly tls: () => ClientTls | undefined;
  readonly now: () => Date;
  readonly log: Log;
  /** The lane can take requests now. */
  readonly onUsable: () => void;
  /** These were on it when it broke. */
  readonly onBroken: (pending: readonly Pending[]) => void;
}

const batchMax = 32;
/** Requests that wait on it; each is one CSR and one token. */
const waitingMax = 4096;
/** More would only wait in the issuer's queue instead of ours. */
const batchesInFlightMax = 4;
const finishMsMax = 20_000;
const retryMsMin = 100;
const retryMsMax = 5_000;

interface Batch {
  left: number;
}

interface Sent {
  readonly pending: Pending;
  readonly batch: Batch;
}

export function openLane(address: string, parts: LaneParts): Lane {
  let stream: Stream<SignReplies__Output, SignBatch> | undefined;
  let client: IssuerClient | undefined;
  let retryMs = retryMsMin;
  let timer: NodeJS.Timeout | undefined;
  let closing: (() => void) | undefined;
  let closed = false;
  const queued = openQueue<Pending>(waitingMax);
  let scheduled = false;
  let batches = 0;
  let nextId = 0;
  const sent = new Map<number, Sent>();

  const connect = (): void => {
    if (closed) return;
    const tls = parts.tls();
    if (tls === undefined) return broke(undefined);
    const opened = openIssuer(address, tls);
    client = opened;
    whenConnected(opened, (error) => {
      if (closed || client !== opened) return;
      if (error !== undefined) return broke(error);
      const signing = openSignStream(opened);
      stream = signing;
      signing.onMessage(take);
      signing.onEnd((ended) => {
        if (stream === signing) broke(ended);
      });
      parts.onUsable();
    });
  };

  /** Everything on it goes elsewhere; the issuer may have signed some of it, which costs a leaf and harms nobody. */
  const broke = (error: unknown): void => {
    stream = undefined;
    if (client !== undefined) closeClient(client);
    client = undefined;
    const lost = [...queued.take(waitingMax), ...[...sent.values()].map((s) => s.pending)];
    sent.clear();
    batches = 0;
    if (!closed) {
      if (error !== undefined)
        parts.log.warn("issuer connection broke", {
          address,
          code: readStatus(error).code,
          message: readStatus(error).message,
        });
      timer = setTimeout(connect, retryMs * (0.5 + Math.random()));
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
    parts.onBroken(lost);
    closing?.();
  };

  const flush = (): void => {
    scheduled = false;
    const signing = stream;
    if (signing === undefined) return;
    while (queued.size > 0 && batches < batchesInFlightMax) {
      const now = parts.now().getTime();
      const items: SignItem[] = [];
      const batch: Batch = { left: 0 };
      for (const pending of queued.take(batchMax)) {
        if (pending.settled()) continue;
        nextId = (nextId + 1) >>> 0;
        sent.set(nextId, { pending, batch });
        items.push({ ...pending.ask, id: nextId, deadlineMs: Math.max(1, pending.deadline - now) });
      }
      if (items.length === 0) continue;
      batch.left = items.length;
      batches += 1;
      signing.write({ items });
    }
  };

  const take = ({ replies, chains }: SignReplies__Output): void => {
    retryMs = retryMsMin;
    for (const { id, issued, refused } of replies) {
      const answered = sent.get(id);
      if (answered === undefined) continue;
      sent.delete(id);
      answered.batch.left -= 1;
      if (answered.batch.left === 0) batches -= 1;
      if (answered.pending.settled()) continue;
      const chain = issued === null || issued === undefined ? undefined : chains[issued.chain];
      if (issued && chain !== undefined) answered.pending.resolve({ leaf: issued.leaf, chain });
      else answered.pending.reject(toRefusal(refused));
    }
    if (queued.size > 0) schedule();
    if (sent.size === 0 && queued.size === 0) closing?.();
  };

  const schedule = (): void => {
    if (scheduled || batches >= batchesInFlightMax) return;
    scheduled = true;
    setImmediate(flush);
  };

  connect();
  return {
    usable: () => stream !== undefined && closing === undefined && !closed,
    load: () => sent.size + queued.size,
    submit: (pending) => {
      const givenUp = queued.push(pending.line, 1, pending);
      givenUp?.reject(new Refusal("overloaded", "more waits for the issuers than can be held"));
      schedule();
    },
    finish: () =>
      new Promise((resolve) => {
        closing = () => {
          closed = true;
          closing = undefined;
          clearTimeout(timer);
          stream?.end();
          if (client !== undefined) closeClient(client);
          resolve();
        };
        if (sent.size === 0 && queued.size === 0) return closing();
        // An issuer that never answers holds nobody up: by then whoever asked has been told.
        setTimeout(() => closing?.(), finishMsMax).unref();
      }),
  };
}

/** The issuer's own refusal, its reference included: the caller may quote it to whoever reads the issuer's log. */
function toRefusal(
  refused: { readonly code: string; readonly message: string; readonly reference: string } | null | undefined,
): Refusal {
  if (!refused || !isRefusalCode(refused.code))
    return new Refusal("unavailable", "the issuer's answer is not understood");
  // An agent that is not let in is no fault of the workload's: it must try again, not give up.
  const code = refused.code === "not-this-caller" ? "unavailable" : refused.code;
  return new Refusal(code, `${refused.message} (reference ${refused.reference})`);
}
