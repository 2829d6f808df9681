import { join } from "node:path";
import { after, before } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { ledgerContract, type OpenDatabase } from "../contract/ledger.ts";
import { sequencerContract } from "../contract/sequencer.ts";
import { stateContract } from "../contract/state.ts";
import { type Server, startPostgres } from "../support/postgres.ts";

using base = temporaryDirectory();
const custody = await openFileCustody({ directory: join(base.path, "keys") });
let server: Server;
before(async () => {
  server = await startPostgres();
});
after(() => server[Symbol.asyncDispose]());

const open: OpenDatabase = async (now = () => new Date("2026-11-21T11:00:00Z")) =>
  await openPostgres({ connection: await server.database(), now, create: true, holder: "test" });

ledgerContract("postgres", open);
stateContract("postgres", open);
sequencerContract(
  "postgres",
  open,
  await custody.createKey("ledger", "P-256"),
  await custody.createKey("other", "P-384"),
);
