/**
 * Where an intent comes from. Only what has just written a draft down, or read it back, may call this; no file outside
 * this folder imports it.
 */
import type { Draft, Intent } from "./ledger.ts";

/** `id` is the entry's row. */
export function toIntent(draft: Draft, id: number): Intent {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand is what this function is for
  return { ...draft, id } as Intent;
}
