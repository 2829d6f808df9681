/** Kubernetes service-account tokens: who is speaking, by the claims that kube-apiserver writes and checks itself. */
import { hash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { type Claims, isClaims, readJwt, readUnverified, type TokenKey } from "./jwt.ts";

/** Something a token is bound to: it is good for as long as this one exists. */
export interface Bound {
  readonly name: string;
  readonly uid: string;
}

/** A service account proven by a token, and what the token is bound to, if anything. */
export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly pod?: Bound;
  /** Of a token that is bound to no pod but to a node; the node of a pod's token is the pod's affair. */
  readonly node?: Bound;
  readonly expiresAt: Date;
  readonly tokenSha256: Uint8Array;
}

export interface ClaimRules {
  /** The exact `iss`. */
  readonly issuer: string;
  /** One of these must be in `aud`. */
  readonly audiences: readonly string[];
  readonly at: Date;
}

export interface TokenRules extends ClaimRules {
  readonly keys: readonly TokenKey[];
}

/** Clocks of a cluster and of the hub may differ by this much. */
export const clockSkewSeconds = 60;

/** RFC 1123 subdomain, what Kubernetes lets an account or a namespace be called. */
const kubernetesName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** @throws Refusal `proof-missing` for an empty token, `proof-invalid` for one that proves nothing here. */
export function readServiceAccount(token: string, rules: TokenRules): ServiceAccount {
  if (token === "") throw new Refusal("proof-missing", "no service-account token was given");
  return toServiceAccount(readJwt(token, rules.keys), token, rules);
}

/** By the same rules, without keys: proven only once the API server has authenticated this token. @throws as `readServiceAccount`. */
export function readClaimedAccount(token: string, rules: ClaimRules): ServiceAccount {
  if (token === "") throw new Refusal("proof-missing", "no service-account token was given");
  return toServiceAccount(readUnverified(token), token, rules);
}

function toServiceAccount(claims: Claims, token: string, rules: ClaimRules): ServiceAccount {
  if (claims["iss"] !== rules.issuer) throw invalid(`its issuer is not ${rules.issuer}`);
  checkAudience(claims["aud"], rules.audiences);
  const expiresAt = checkTimes(claims, rules.at);
  return { ...readSubject(claims), expiresAt, tokenSha256: Buffer.from(hash("sha256", token, "latin1"), "latin1") };
}

function checkAudience(aud: unknown, accepted: readonly string[]): void {
  const stated = Array.isArray(aud) ? aud : [aud];
  if (!stated.some((audience) => accepted.includes(audience))) {
    throw invalid(`its audience is not ${accepted.map((audience) => `"${audience}"`).join(" or ")}`);
  }
}

/** `exp` must be there: legacy tokens never end, and are refused. */
function checkTimes(claims: Claims, at: Date): Date {
  const now = at.getTime() / 1000;
  const { exp, nbf, iat } = claims;
  if (typeof exp !== "number" || !Number.isFinite(exp)) throw invalid("it has no expiry");
  if (now > exp + clockSkewSeconds) throw invalid("it has expired");
  for (const start of [nbf, iat]) {
    if (start === undefined) continue;
    if (typeof start !== "number") throw invalid("a time in it is not a number");
    if (now < start - clockSkewSeconds) throw invalid("it is not valid yet");
  }
  const milliseconds = exp * 1000;
  if (milliseconds > 8.64e15) throw invalid("its expiry is out of range");
  return new Date(milliseconds);
}

/** The subject and the private claims say the same, or one of them is not kube-apiserver's. */
function readSubject(claims: Claims): Pick<ServiceAccount, "namespace" | "name" | "uid" | "pod" | "node"> {
  const [system, kind, namespace, name, ...rest] = typeof claims["sub"] === "string" ? claims["sub"].split(":") : [];
  if (
    system !== "system" ||
    kind !== "serviceaccount" ||
    namespace === undefined ||
    name === undefined ||
    rest.length > 0
  ) {
    throw invalid("its subject is not a service account");
  }
  if (!kubernetesName.test(namespace) || !kubernetesName.test(name))
    throw invalid("its subject is not a Kubernetes name");
  const bound = claims["kubernetes.io"];
  if (!isClaims(bound)) throw invalid("it has no kubernetes.io claims");
  const account = readReference(bound, "serviceaccount");
  if (bound["namespace"] !== namespace || account?.name !== name)
    throw invalid("its subject and its kubernetes.io claims differ");
  // As kube-apiserver has it, such a token ends with its Secret, which we may not read.
  if (bound["secret"] !== undefined) throw invalid("it is bound to a Secret: use a projected token");
  const pod = readReference(bound, "pod");
  const node = pod === undefined ? readReference(bound, "node") : undefined;
  return { namespace, name, uid: account.uid, ...(pod && { pod }), ...(node && { node }) };
}

function readReference(bound: Claims, key: string): Bound | undefined {
  const value = bound[key];
  if (value === undefined) return undefined;
  if (!isClaims(value)) throw invalid(`its ${key} claim is not an object`);
  const { name, uid } = value;
  if (typeof name !== "string" || typeof uid !== "string" || name === "" || uid === "") {
    throw invalid(`its ${key} claim has no name and uid`);
  }
  return { name, uid };
}

function invalid(why: string): Refusal {
  return new Refusal("proof-invalid", `the token is refused: ${why}`);
}
