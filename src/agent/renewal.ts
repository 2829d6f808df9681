/** Something that is got, kept, and got again at half of its life; trying goes on until it works. */
import type { Log } from "../ops/log.ts";
import { type KeyPair, readKeyPair, renewalAt, toText } from "./key-pair.ts";
import type { Store } from "./store.ts";

export interface Renewal extends AsyncDisposable {
  current(): KeyPair | undefined;
  /** Gets a new one now, whatever the old one's age. */
  renewNow(): void;
}

export interface RenewalParts {
  /** Its file in the store. */
  readonly name: string;
  readonly get: () => Promise<KeyPair>;
  readonly onNew: (pair: KeyPair) => void;
  readonly store: Store;
  readonly now: () => Date;
  readonly log: Log;
}

const retryMsMin = 250;
const retryMsMax = 30_000;
/** Node's timers end at 2^31-1 ms. */
const sleepMsMax = 3_600_000;

/** Starts with what the store has, if it is still good; `onNew` is called for that too, before this returns. */
export async function startRenewal({ name, get, onNew, store, now, log }: RenewalParts): Promise<Renewal> {
  let pair = readKeyPair(await store.read(name), now());
  let timer: NodeJS.Timeout | undefined;
  let retryMs = retryMsMin;
  let stopped = false;
  let running = false;
  /** Asked for before its time, and not had yet: a failure must not make it wait for its time. */
  let asked = false;

  const sleep = (ms: number): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(tick, Math.min(Math.max(ms, 0), sleepMsMax));
  };

  const tick = (): void => {
    if (pair !== undefined && !asked && now() < renewalAt(pair)) sleep(renewalAt(pair).getTime() - now().getTime());
    else renew();
  };

  const renew = (): void => {
    if (running || stopped) return;
    running = true;
    asked = false;
    get()
      .then(async (next) => {
        await store.write(name, toText(next));
        pair = next;
        retryMs = retryMsMin;
        log.info("certificate obtained", { certificate: name, notAfter: next.notAfter.toISOString() });
        onNew(next);
        return asked ? 0 : renewalAt(next).getTime() - now().getTime();
      })
      .catch((error: unknown) => {
        log.warn("certificate not obtained", {
          certificate: name,
          message: error instanceof Error ? error.message : String(error),
        });
        asked = true;
        retryMs = Math.min(retryMs * 2, retryMsMax);
        return retryMs * (0.5 + Math.random() / 2);
      })
      .then(
        (ms) => {
          running = false;
          sleep(ms);
        },
        log.error.bind(log, "renewal stopped", { certificate: name }),
      );
  };

  if (pair !== undefined) onNew(pair);
  tick();
  return {
    current: () => pair,
    renewNow: () => {
      // What is under way may be of before.
      asked = true;
      renew();
    },
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
