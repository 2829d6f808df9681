/**
 * Suspensions that documents declare, copied by the issuer that leads into the rows that every write of intents reads: then they
 * hold on a replica too that has not read the document.
 */
import { type Act, hubLog } from "../ledger/ledger.ts";
import type { State, SuspensionKey } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Declared } from "../resources/declared.ts";
import { declaredSuspensions, type World } from "./world.ts";

export interface CopyParts {
  readonly state: Pick<State, "suspensions" | "setSuspended">;
  readonly log: Log;
}

/** Whether there was anything to copy. */
export async function copySuspensions(declared: Declared, { state, log }: CopyParts): Promise<boolean> {
  const rows = (await state.suspensions()).filter(({ source }) => source === "document");
  const wanted = declaredSuspensions(declared);
  const has = (all: readonly SuspensionKey[], { kind, name }: SuspensionKey): boolean =>
    all.some((one) => one.kind === kind && one.name === name);
  const steps = [
    ...wanted.filter((key) => !has(rows, key)).map((key) => ({ key, suspended: true })),
    ...rows.filter((key) => !has(wanted, key)).map((key) => ({ key, suspended: false })),
  ];
  for (const { key, suspended } of steps) {
    const act = toAct(key, suspended);
    // If we stop before this, replicas that have read the document refuse it, and the next pass does this; after it, all do.
    const changed = await state.setSuspended(key, suspended, act, "document");
    if (changed) log.info(act.verb, { name: key.name, operator: act.operator });
  }
  return steps.length > 0;
}

function toAct({ kind, name }: SuspensionKey, suspended: boolean): Act {
  return {
    log: kind === "tenant" ? name : hubLog,
    verb: `${suspended ? "suspend" : "resume"}-${kind}`,
    operator: "espalier",
    reason: suspended ? "its document says suspended" : "its document does not say suspended any more",
    details: { name },
  };
}

/** For how long the oldest suspension of a document has waited for its row, in seconds. */
export function openSuspensionLag(now: () => Date): (world: World) => number {
  let since = new Map<string, Date>();
  return ({ uncopied }) => {
    const at = now();
    since = new Map(uncopied.map((key) => [key, since.get(key) ?? at]));
    return Math.max(0, ...[...since.values()].map((first) => (+at - +first) / 1000));
  };
}
