/** From what is allowed to the exact bytes that will be signed. They are linted here, before they are written down. */
import { Refusal } from "../errors.ts";
import type { Draft } from "../ledger/ledger.ts";
import { toNameText } from "../pki/general-name.ts";
import { sha256 } from "../pki/key.ts";
import { type Content, newSerialAt, toTbs } from "../pki/leaf.ts";
import { lintTbs } from "../pki/lint.ts";
import { lintNamedAuthorityTbs, toNamedAuthorityTbs } from "../pki/named-authority.ts";
import { lintNamedTbs, spiffeIdOf, toNamedTbs } from "../pki/named-leaf.ts";
import { backdateSeconds } from "../pki/profile.ts";
import type { Allowed, AllowedAuthority, AllowedNames, AllowedRequest } from "./allowed.ts";

export interface PrepareParts {
  readonly now: () => Date;
  readonly random: (bytes: number) => Uint8Array;
}

/** @throws Refusal `unavailable` when the authority has too little life left; Error when a lint fails, which is ours. */
export function prepare(allowed: Allowed, spki: Uint8Array, parts: PrepareParts): Draft {
  const { authority, profile } = allowed;
  if ((authority.record.kind === "delegating") !== (profile === "authority"))
    throw new Error(`${authority.record.id} is not for certificates of the profile ${profile}`);
  const at = parts.now();
  const now = Math.floor(at.getTime() / 1000);
  const begin = now - backdateSeconds;
  // Who asks for a duration by an object plans by it, from NotBefore on; Istio's clients plan from now on.
  const from = allowed.request === undefined ? now : begin;
  const notBefore = new Date(begin * 1000);
  const notAfter = new Date((from + secondsLeft(allowed, from)) * 1000);
  const serial = newSerialAt(parts.random, at);
  const content = { serial, notBefore, notAfter, spki };
  return {
    log: allowed.log,
    cluster: allowed.cluster,
    door: allowed.door,
    profile,
    authority: authority.record.id,
    bundleVersion: authority.chain.bundle.version,
    serial,
    identity: identityOf(allowed),
    rule: allowed.rule,
    proof: allowed.proof,
    keySha256: sha256(spki),
    notBefore,
    notAfter,
    tbs: toTbsOf(allowed, content),
    ...(allowed.tokenSha256 === undefined ? {} : { tokenSha256: allowed.tokenSha256 }),
    ...(allowed.renewableSince === undefined ? {} : { renewableSince: allowed.renewableSince }),
    ...(allowed.idempotency === undefined ? {} : { idempotency: allowed.idempotency }),
    ...(allowed.request === undefined ? {} : { request: allowed.request }),
  };
}

function toTbsOf(allowed: Allowed, content: Content): Uint8Array {
  switch (allowed.profile) {
    case "request":
      return toRequested(allowed, content);
    case "authority":
      return toAuthority(allowed, content);
    default:
      return toLeaf(allowed, content);
  }
}

function toLeaf({ authority, profile, names }: AllowedNames, content: Content): Uint8Array {
  const tbs = toTbs(authority.templates[profile], { ...content, names });
  lintTbs(tbs, { profile, names, spki: content.spki, authority: authority.certificate });
  return tbs;
}

function toRequested({ authority, leaf }: AllowedRequest, content: Content): Uint8Array {
  // What any template of an authority says of its issuer is the same.
  const tbs = toNamedTbs(authority.templates.workload, { ...content, ...leaf });
  lintNamedTbs(tbs, { ...leaf, spki: content.spki, authority: authority.certificate });
  return tbs;
}

function toAuthority({ authority, named }: AllowedAuthority, content: Content): Uint8Array {
  const tbs = toNamedAuthorityTbs(authority.templates.workload, { ...content, ...named });
  lintNamedAuthorityTbs(tbs, { ...named, spki: content.spki, authority: authority.certificate });
  return tbs;
}

/** More of a hundred names would say no more to people; the certificate has all. */
const identityMax = 1024;

function identityOf(allowed: Allowed): string {
  if (allowed.profile === "authority") return cut(`ca:${allowed.name}`);
  if (allowed.profile !== "request") return allowed.names.uri ?? allowed.names.dns.join(",");
  const { names } = allowed.leaf;
  const identity = spiffeIdOf(names);
  // Whoever denies a workload denies it at every door.
  if (identity !== undefined) return identity;
  return cut(names.length === 0 ? "subject" : names.map(toNameText).join(","));
}

function cut(text: string): string {
  return text.length > identityMax ? `${text.slice(0, identityMax)}…` : text;
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
