/** When what certificates rest on ends: the roots that the hub told, and the authorities that signed of late. */
import { X509Certificate } from "node:crypto";
import { readPemAll } from "../pki/pem.ts";
import type { SignedLeaf } from "./hub.ts";
import type { KeptTrust } from "./kept-trust.ts";

export interface ChainEnds {
  /** Of a certificate that is handed out. */
  see(chain: SignedLeaf["chain"]): void;
  /** Of the authorities seen within a day, the first to end. */
  first(): Date | undefined;
}

/** One that signs no more is of no interest; a workload renews twice a day. */
const seenMs = 86_400_000;
/** As many authorities as there are tenants and generations of them in use. */
const authoritiesMax = 256;

export function openChainEnds(now: () => Date): ChainEnds {
  const seen = new Map<string, { readonly end: Date; at: number }>();
  return {
    see: ({ authority, intermediates }) => {
      const at = now().getTime();
      const known = seen.get(authority);
      if (known !== undefined) {
        known.at = at;
        return;
      }
      if (seen.size >= authoritiesMax) seen.clear();
      const end = firstEnd(intermediates);
      if (end !== undefined) seen.set(authority, { end, at });
    },
    first: () => {
      const since = now().getTime() - seenMs;
      return earliest([...seen.values()].filter(({ at }) => at >= since).map(({ end }) => end));
    },
  };
}

/** Of the roots that this cluster's tenants trust. */
export function firstRootEnd(trust: KeptTrust | undefined): Date | undefined {
  return firstEnd((trust?.tenants ?? []).flatMap(({ rootsPem }) => (rootsPem === "" ? [] : readPemAll(rootsPem))));
}

function firstEnd(certificates: readonly Uint8Array[]): Date | undefined {
  return earliest(certificates.map((der) => new X509Certificate(der).validToDate));
}

function earliest(dates: readonly Date[]): Date | undefined {
  return dates.reduce<Date | undefined>(
    (first, date) => (first === undefined || date < first ? date : first),
    undefined,
  );
}
