import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
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
import { rotationContract } from "../contract/rotation.ts";
import { sequencerContract } from "../contract/sequencer.ts";
import { stateContract } from "../contract/state.ts";
import { startPostgres } from "../support/postgres.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
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

test("issuers on one PostgreSQL database share sealed keys and nothing else", async () => {
  const connection = await server.database();
  const replicas = [];
  for (const holder of ["first", "second"])
    replicas.push(await openPostgres({ connection, now: () => new Date(), create: true, holder }));
  await using stack = new AsyncDisposableStack();
  const [first, second] = await Promise.all(
    replicas.map(async (database) => await openSealedCustody(keyFile, stack.use(database).state)),
  );
  const made = await first?.createKey("shared", "P-256");
  assert.deepEqual((await second?.openKey("shared"))?.spki, made?.spki);
  const raced = await Promise.allSettled([first, second].map(async (one) => await one?.createKey("raced", "P-256")));
  assert.equal(raced.filter(({ status }) => status === "fulfilled").length, 1);
});

ledgerContract("postgres", open);
stateContract("postgres", open);
revocationContract("postgres", open);
rotationContract("postgres", open);
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
