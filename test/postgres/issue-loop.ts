/** A replica that issues as fast as it can and prints the serial of what it signed, until it is killed. */
import { openFileCustody } from "../../src/custody/file.ts";
import { openPostgres } from "../../src/ledger/postgres.ts";
import { issueForever } from "../contract/issue-loop.ts";
import { toConfig } from "../support/postgres.ts";

const [json = "", keys = ""] = process.argv.slice(2);
const { port, database: name }: { readonly port: number; readonly database: string } = JSON.parse(json);
const custody = await openFileCustody({ directory: keys });
const signer = await custody.openKey("ledger");
const connection = toConfig(port, name);
const now = () => new Date();
const holder = String(process.pid);
const database = await openPostgres({ connection, now, create: false, holder, silenceMs: 300, recordDelayMs: 3 });
await database.startSequencer(signer, { intervalMs: 2, headIntervalMs: 10 });

await issueForever(database, signer);
