/** What verification found wrong, in words, up to a limit. */
import { faultsMax } from "./ledger.ts";

export interface Faults {
  add(fault: string): void;
  list(): readonly string[];
}

export function createFaults(): Faults {
  const faults: string[] = [];
  return {
    add(fault) {
      if (faults.length < faultsMax) faults.push(fault);
    },
    list: () => [...faults],
  };
}
