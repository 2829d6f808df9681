/** Drives the ledger alone, and beside it a file that the same bytes are appended to. */
import { fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeIntent } from "../../src/ledger/entry.ts";
import type { Draft } from "../../src/ledger/ledger.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { openRandom } from "../../src/ops/random.ts";
import { newSerialAt } from "../../src/pki/leaf.ts";
import { draft, tbsOf } from "../contract/drafts.ts";
import { type Order, serveDriver } from "./driver.ts";

/** As a workload's certificate, its serial number and a P-256 signature are. */
const tbsBytes = 480;
const random = openRandom();
const signature = new Uint8Array(71).fill(0x30);

const directory = await mkdtemp(join(tmpdir(), "espalier-bench-ledger-"));
process.once("exit", () => rmSync(directory, { recursive: true }));
const { ledger } = await openSqlite({ path: join(directory, "espalier.db"), now: () => new Date(), create: true });
const file = openSync(join(directory, "appended"), "a", 0o600);

let batches: readonly (readonly Draft[])[] = [];
let appended: readonly Uint8Array[] = [];
let run: () => Promise<void> = async () => {};
let intents = 0;

function makeBatches({ count, batch }: Order): readonly (readonly Draft[])[] {
  return Array.from({ length: count / batch }, () =>
    Array.from({ length: batch }, () => {
      const made = draft({ serial: newSerialAt(random, new Date()) });
      return { ...made, tbs: tbsOf(made.serial, tbsBytes) };
    }),
  );
}

async function intendAndRecord(): Promise<void> {
  intents = 0;
  for (const batch of batches) {
    for (const answer of await ledger.intend(batch)) {
      if (answer.kind !== "intent") throw new Error(answer.kind);
      ledger.record(answer.intent, signature);
      intents += 1;
    }
  }
}

async function append(): Promise<void> {
  for (const bytes of appended) {
    writeSync(file, bytes);
    fdatasyncSync(file);
  }
}

serveDriver({
  prepare: (order) => {
    batches = makeBatches(order);
    appended = batches.map((batch) => Buffer.concat(batch.flatMap((d) => [encodeIntent(d, new Date()), signature])));
    run = order.kind === "ledger" ? intendAndRecord : append;
  },
  run: async () => {
    await run();
    return { latenciesMs: [] };
  },
  check: () => {
    const asked = batches.reduce((sum, batch) => sum + batch.length, 0);
    if (run === intendAndRecord && intents !== asked) throw new Error(`${intents} intents for ${asked} drafts`);
  },
});
