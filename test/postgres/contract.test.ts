import { join } from "node:path";
import { after } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSealedCustody } from "../../src/custody/sealed.ts";
import { createSealingKey } from "../../src/custody/sealing-key.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { custodyContract } from "../contract/custody.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { faultContract } from "../contract/faults.ts";
import { ledgerContract, type OpenDatabase } from "../contract/ledger.ts";
import { retentionContract } from "../contract/retention.ts";
import { revocationContract } from "../contract/revocations.ts";
import { sequencerContract } from "../contract/sequencer.ts";
import { stateContract } from "../contract/state.ts";
import { startPostgres } from "../support/postgres.ts";

using base = temporaryDirectory();
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const signer = await custody.createKey("ledger", "P-256");
const other = await custody.createKey("other", "P-384");
const server = await startPostgres();
after(() => server[Symbol.asyncDispose]());

const open: OpenDatabase = async (now = () => new Date("2026-11-21T11:00:00Z")) =>
  await openPostgres({ connection: await server.database(), now, create: true, holder: "test" });

const keyFile = join(base.path, "sealing.key");
await createSealingKey(keyFile);

custodyContract("sealed in postgres", async () => {
  const database = await open();
  after(async () => await database[Symbol.asyncDispose]());
  return await openSealedCustody(keyFile, database.state);
});
ledgerContract("postgres", open);
stateContract("postgres", open);
revocationContract("postgres", open);
sequencerContract("postgres", open, signer, other);
retentionContract("postgres", open, signer);
faultContract(
  "postgres",
  async () => {
    const connection = await server.database();
    const now = () => new Date("2026-11-21T11:00:00Z");
    return async (fault) =>
      await openPostgres({
        connection,
        now,
        create: true,
        holder: "test",
        recordDelayMs: 2,
        silenceMs: 0,
        write: async (name, commit) => {
          const outcome = fault?.decide(name) ?? "done";
          if (outcome !== "lost") await commit();
          if (outcome !== "done") throw new Error("connection reset");
        },
      });
  },
  signer,
);
