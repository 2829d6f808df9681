/** What a file of tests on PostgreSQL stands on: a server, and a folder with the ledger's key. Both go when the file is done. */
import { join } from "node:path";
import { after } from "node:test";
import { openFileCustody } from "../../src/custody/file.ts";
import type { Custody, Signer } from "../../src/custody/signer.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { type Server, startPostgres } from "./postgres.ts";

export interface Stand {
  /** A directory. */
  readonly path: string;
  readonly custody: Custody;
  readonly signer: Signer;
  readonly server: Server;
}

export async function startStand(): Promise<Stand> {
  const base = temporaryDirectory();
  const custody = await openFileCustody({ directory: join(base.path, "keys") });
  const signer = await custody.createKey("ledger", "P-256");
  const server = await startPostgres();
  after(async () => {
    await server[Symbol.asyncDispose]();
    base[Symbol.dispose]();
  });
  return { path: base.path, custody, signer, server };
}
