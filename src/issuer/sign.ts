/** Signs what the ledger has. A draft cannot be signed: it does not compile. */
import { Refusal } from "../errors.ts";
import type { Intended, Intent, Ledger, SuspendedWhat } from "../ledger/ledger.ts";
import { toCertificate } from "../pki/leaf.ts";
import type { Authorities, IssuedChain } from "./authorities.ts";

/** A signed leaf, DER, with the chain of the authority that signed it: a replay's may be an older one. */
export interface Signed {
  readonly leaf: Uint8Array;
  readonly chain: IssuedChain;
  readonly intent: Intent;
}

/** @throws Refusal. */
export async function sign(
  intended: Intended,
  authorities: Authorities,
  ledger: Pick<Ledger, "record">,
): Promise<Signed> {
  const { intent, signature } = toSign(intended);
  if (signature !== undefined) return assemble(intent, signature, authorities);
  const authority = authorities.byId(intent.authority);
  if (authority === undefined)
    throw new Refusal("unavailable", "the authority of this certificate may not sign any more");
  const made = await authority.signer.sign(intent.tbs);
  // If we stop here: an intent without a signature, which counts as a live certificate and can be signed again.
  ledger.record(intent, made);
  return assemble(intent, made, authorities);
}

/** What is to be signed, or has been. */
function toSign(intended: Intended): { readonly intent: Intent; readonly signature?: Uint8Array } {
  switch (intended.kind) {
    case "suspended":
      throw toRefusal(intended.what);
    case "replay-differs":
      throw new Refusal("replay-differs", "this request's idempotency key was used for another key, name or duration");
    case "replay-pruned":
      throw new Refusal("replay-differs", "this request was answered once, and so long ago that its record is gone");
    case "replay":
    case "intent":
      return intended;
  }
}

function toRefusal(what: SuspendedWhat): Refusal {
  switch (what) {
    case "tenant":
    case "cluster":
      return new Refusal("suspended", `the ${what} of this request is suspended`);
    case "workload":
      return new Refusal("suspended", "this workload was denied by an operator");
    case "certificate":
      return new Refusal("suspended", "the certificate of this request was revoked");
    case "generation":
      return new Refusal("unavailable", "this issuer has not heard yet of the root that signs now");
    case "authority":
      // Ours to mend: its successor signs as soon as this replica has heard of it.
      return new Refusal("unavailable", "the authority of this request was revoked a moment ago");
  }
}

function assemble(intent: Intent, signature: Uint8Array, authorities: Authorities): Signed {
  const { algorithm, chain } = authorities.above(intent.authority);
  return { leaf: toCertificate(algorithm, intent.tbs, signature), chain, intent };
}
