import { after, before } from "node:test";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { ledgerContract, type OpenDatabase } from "../contract/ledger.ts";
import { stateContract } from "../contract/state.ts";
import { type Server, startPostgres } from "../support/postgres.ts";

let server: Server;
before(async () => {
  server = await startPostgres();
});
after(() => server[Symbol.asyncDispose]());

const open: OpenDatabase = async (now = () => new Date("2026-11-21T11:00:00Z")) =>
  await openPostgres({ connection: await server.database(), now, create: true, holder: "test" });

ledgerContract("postgres", open);
stateContract("postgres", open);
