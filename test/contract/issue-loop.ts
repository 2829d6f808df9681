/** What a process does that is going to be killed: it issues as fast as it can and prints the serial of what it has signed. */
import { writeSync } from "node:fs";
import type { Signer } from "../../src/custody/signer.ts";
import type { Database } from "../../src/ledger/database.ts";
import { draft } from "./drafts.ts";

/** Three at once, until the process ends. */
export async function issueForever({ ledger }: Database, signer: Signer): Promise<void> {
  const issue = async (): Promise<never> => {
    for (;;) {
      for (const answer of await ledger.intend([draft(), draft({ log: "bank" })])) {
        if (answer.kind !== "intent") throw new Error(answer.kind);
        const signature = await signer.sign(answer.intent.tbs);
        ledger.record(answer.intent, signature);
        writeSync(1, `${Buffer.from(answer.intent.serial).toString("hex")}\n`);
      }
    }
  };
  await Promise.all([issue(), issue(), issue()]);
}
