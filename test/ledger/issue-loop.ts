/** A child process that issues as fast as it can and prints the serial of what it signed, until it is killed. */
import { openFileCustody } from "../../src/custody/file.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { issueForever } from "../contract/issue-loop.ts";

const [path = "", keys = ""] = process.argv.slice(2);
const custody = await openFileCustody({ directory: keys });
const signer = await custody.openKey("ledger");
const database = await openSqlite({ path, now: () => new Date(), create: false, recordDelayMs: 3 });
await database.startSequencer(signer, { intervalMs: 2, headIntervalMs: 10 });

await issueForever(database, signer);
