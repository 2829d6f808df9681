/** That nobody who has a certificate is cut off by what becomes of roots. */
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import type { Book } from "./book.ts";

/** Nobody who has a certificate is cut off: the root above it is trusted until it has ended. */
export function judgeTrust(records: readonly AuthorityRecord[], book: Book, now: Date): void {
  const byId = new Map(records.map((record) => [record.id, record]));
  for (const { authority, notAfter } of book.held) {
    if (notAfter <= now) continue;
    const signer = byId.get(authority);
    const root = byId.get(signer?.parent ?? authority);
    if (root === undefined || root.state === "retired")
      book.faults.push(
        `${root?.id ?? authority} is ${root?.state ?? "not there"}, and somebody has a certificate under it`,
      );
  }
}
