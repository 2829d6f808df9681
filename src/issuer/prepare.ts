/** From what is allowed to the exact bytes that will be signed. They are linted here, before they are written down. */
import { Refusal } from "../errors.ts";
import type { Draft } from "../ledger/ledger.ts";
import { sha256 } from "../pki/key.ts";
import { newSerialAt, toTbs } from "../pki/leaf.ts";
import { lintTbs } from "../pki/lint.ts";
import { backdateSeconds } from "../pki/profile.ts";
import type { Allowed } from "./judge.ts";

export interface PrepareParts {
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** @throws Refusal `unavailable` when the authority has too little life left; Error when a lint fails, which is ours. */
export function prepare(allowed: Allowed, spki: Uint8Array, parts: PrepareParts): Draft {
  const { authority, names, profile } = allowed;
  const template = authority.templates[profile];
  const now = Math.floor(parts.now().getTime() / 1000);
  const notBefore = new Date((now - backdateSeconds) * 1000);
  const notAfter = new Date((now + secondsLeft(allowed, now)) * 1000);
  const serial = newSerialAt(parts.random, notBefore);
  const tbs = toTbs(template, { serial, notBefore, notAfter, spki, names });
  lintTbs(tbs, { profile, names, spki, authority: authority.certificate });
  return {
    log: allowed.log,
    cluster: allowed.cluster,
    door: allowed.door,
    profile,
    authority: authority.record.id,
    bundleVersion: authority.chain.bundle.version,
    serial,
    identity: names.uri ?? names.dns.join(","),
    rule: allowed.rule,
    proof: allowed.proof,
    keySha256: sha256(spki),
    notBefore,
    notAfter,
    tbs,
    ...(allowed.tokenSha256 === undefined ? {} : { tokenSha256: allowed.tokenSha256 }),
    ...(allowed.renewableSince === undefined ? {} : { renewableSince: allowed.renewableSince }),
    ...(allowed.idempotency === undefined ? {} : { idempotency: allowed.idempotency }),
  };
}

/**
 * What was granted, or what its authority has left: no less than half. Istio's agents renew at half of a leaf's life, so
 * following a dying authority any further would halve lifetimes into a storm.
 */
function secondsLeft({ authority, validitySeconds }: Allowed, now: number): number {
  const left = Math.floor(authority.record.notAfter.getTime() / 1000) - now;
  if (left >= validitySeconds) return validitySeconds;
  if (left * 2 >= validitySeconds) return left;
  throw new Refusal(
    "unavailable",
    `the authority expires in ${Math.max(left, 0)} s, before half of the validity asked for`,
  );
}
