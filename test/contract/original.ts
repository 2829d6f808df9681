/** A ledger whose copies somebody changes by hand, and what verification says of them. */
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Database } from "../../src/ledger/database.ts";
import type { Sequencer } from "../../src/ledger/sequencer.ts";
import { act, draft, sha256 } from "./drafts.ts";
import { intendOne } from "./ledger.ts";

const authority = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** Entries 1 to 6 are placed under two heads; 7 (an intent) and 8 (an act) are not placed, once `stopped` has seen to that. */
export async function writeOriginal(
  { ledger, state, counts }: Database,
  sequencer: Sequencer,
  stopped: () => Promise<void> = async () => {},
): Promise<void> {
  const issue = async (log: string, name: string): Promise<void> => {
    const idempotency = { key: name, digest: sha256(name) };
    const intent = await intendOne({ ledger }, draft({ log, cluster: `cluster-${name}`, identity: name, idempotency }));
    ledger.record(intent, sign("sha256", intent.tbs, authority.privateKey));
  };
  await issue("shop", "1");
  await issue("bank", "2");
  await state.act(act({ log: "shop" }));
  await sequencer.sequence();
  await issue("shop", "4");
  await issue("bank", "5");
  await state.act(act());
  await sequencer.sequence();
  await stopped();
  await issue("shop", "7");
  await state.act(act({ log: "bank" }));
  while (counts().recordsQueued > 0) await delay(5);
}

/** One in a line; empty where it holds. */
export async function faultsOf({ ledger }: Pick<Database, "ledger">): Promise<string> {
  const check = (_: string, tbs: Uint8Array, signature: Uint8Array): boolean =>
    verify("sha256", tbs, authority.publicKey, signature);
  const faults: string[] = [];
  for await (const report of ledger.verify(undefined, check)) if (report.done) faults.push(...report.faults);
  return faults.join("\n");
}
