/** From an object's request and its CSR to everything a leaf is made of. Policy decides; this only finds what it decided for. */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { isSame } from "../pki/der.ts";
import { type NamedCsr, readNamedCsr } from "../pki/named-csr.ts";
import { spiffeIdOf } from "../pki/named-leaf.ts";
import { isNamedUsage, toLeafUsages } from "../pki/named-usage.ts";
import { authorityUsages } from "../pki/usage.ts";
import type { AuthorityGrant } from "../policy/decide-authority.ts";
import { decideRequest, type NamedGrant } from "../policy/decide-request.ts";
import type { Grant } from "../policy/grant.ts";
import { decideForOther, type Requester, requesterOf } from "../policy/requester.ts";
import {
  type AllowedAuthority,
  type AllowedNames,
  type AllowedRequest,
  active,
  type Judged,
  toKey,
} from "./allowed.ts";
import type { Asked, ObjectRequest, Proven } from "./item.ts";
import type { World } from "./world.ts";

/** @throws Refusal: a code of policy, `malformed` for the CSR, or `unavailable` when what should sign cannot. */
export function judgeRequest(
  asked: Asked,
  { cluster, request }: Extract<Proven, { kind: "request" }>,
  world: World,
): Judged {
  const csr = readNamedCsr(asked.csr);
  const { grant, content } = grantFor(asked, cluster, request, csr, world);
  checkCa(csr, request);
  checkUsages(csr, request);
  const { tenant: log, validitySeconds, rule, proof } = grant;
  if (world.isSuspended("tenant", log)) throw new Refusal("suspended", `certificates of tenant "${log}" are suspended`);
  const authority = active(world, content.profile === "authority" ? "delegating" : "tenant", log);
  if (content.profile === "authority" && isSame(csr.subject.der, authority.certificate.subject))
    throw new Refusal("request-denied", "the CSR's subject is that of the authority that would sign it (isCA)");
  const identity = spiffeIdOf(csr.names);
  if (identity !== undefined && world.isSuspended("workload", `${log}/${identity}`))
    throw new Refusal("suspended", "this workload was denied by an operator");
  const { object, issuer, username, groups } = request;
  const allowed = {
    ...content,
    log,
    cluster,
    door: asked.door,
    request: { object, issuer, username, groups },
    validitySeconds,
    rule,
    proof,
    authority,
    idempotency: { key: toKey(asked, cluster), digest: digestOf(asked, request) },
  } as const;
  return { csr, allowed };
}

type Content =
  | Pick<AllowedRequest, "profile" | "leaf">
  | Pick<AllowedAuthority, "profile" | "named" | "name">
  | Pick<AllowedNames, "profile" | "names">;

/** Whoever may ask for others asks for a workload by its SPIFFE ID, and for nothing else of theirs. */
function grantFor(
  { signer: tenant, validitySeconds }: Asked,
  cluster: string,
  request: ObjectRequest,
  csr: NamedCsr,
  world: World,
): { readonly grant: Grant | NamedGrant | AuthorityGrant; readonly content: Content } {
  const { names } = csr;
  const { attributes, der: subject } = csr.subject;
  const { namespace, usages, isCa } = request;
  const named = { cluster, namespace, tenant, subject: attributes, names, usages, isCa, validitySeconds };
  const requester = requesterFor(names, request, cluster, world);
  if (requester !== undefined) {
    const grant = decideForOther(world.table, requester, named);
    return { grant, content: { profile: grant.profile, names: { uri: grant.identity, dns: [] } } };
  }
  const own = requestersOf(cluster, world)
    .filter((one) => one.namespace === namespace)
    .flatMap((one) => one.servingNames);
  const grant = decideRequest(world.table, named, servingNames(world, own));
  switch (grant.profile) {
    case "request":
      return { grant, content: { profile: "request", leaf: { subject, names, usages: grant.usages } } };
    case "authority": {
      const name = attributes.map(({ value }) => value).join(", ");
      return { grant, content: { profile: "authority", named: { subject, scope: grant.scope }, name } };
    }
  }
}

/** Who asks for another here, if anybody does. */
export function requesterFor(
  names: NamedCsr["names"],
  request: ObjectRequest,
  cluster: string,
  world: World,
): Requester | undefined {
  return spiffeIdOf(names) === undefined ? undefined : requesterOf(requestersOf(cluster, world), request);
}

function requestersOf(cluster: string, { declared }: World): readonly Requester[] {
  return declared.clusters.get(cluster)?.requesters ?? [];
}

/** As with usages below: a CA that only the CSR asks for was approved by nobody. */
function checkCa({ isCa, pathLength = 0 }: NamedCsr, request: ObjectRequest): void {
  const refuse = (message: string) => new Refusal("request-denied", message);
  if (request.isCa && request.door !== "certificate-request")
    throw refuse("a CA certificate is asked for (isCA), and CertificateSigningRequests are given none");
  if (isCa === true && !request.isCa)
    throw refuse("the CSR asks for a CA certificate, and the request does not (isCA)");
  if (isCa === false && request.isCa)
    throw refuse("a CA certificate is asked for (isCA), and the CSR says that it is for none");
  if (pathLength > 0)
    throw refuse("the CSR asks for a path length above 0, and a CA certificate (isCA) is for signing leaves alone");
}

/** What the CSR says of them, if anything, is what the object says: one of the two was approved, and not the other. */
function checkUsages({ keyUsage, extended }: NamedCsr, { usages, isCa }: ObjectRequest): void {
  const asked = toLeafUsages(usages.filter(isNamedUsage));
  // cert-manager puts the first into the CSR by itself.
  const ofCa = authorityUsages.filter((usage) => usage === "keyCertSign" || usages.includes("crl sign"));
  const differs = (inCsr: readonly string[] | undefined, stated: readonly string[]): boolean =>
    inCsr !== undefined && new Set(inCsr).symmetricDifference(new Set(stated)).size > 0;
  if (differs(keyUsage, [...asked.keyUsage, ...(isCa ? ofCa : [])]) || differs(extended, asked.extended))
    throw new Refusal("malformed", `the CSR asks for other usages than the request (${usages.join(", ")})`);
}

/** What clusters serve with, but for what a requester's namespace may have of it. */
function* servingNames({ declared }: World, own: readonly string[]): Generator<string> {
  for (const cluster of declared.clusters.values()) yield* cluster.servingNames.filter((name) => !own.includes(name));
}

/** What must not differ between two requests of one key: everything that was asked, and who asked. */
function digestOf({ csr, signer, validitySeconds }: Asked, request: ObjectRequest): Uint8Array {
  const { namespace, object, issuer, username, groups, usages, isCa } = request;
  return createHash("sha256")
    .update(createHash("sha256").update(csr).digest())
    .update(JSON.stringify([signer, validitySeconds, namespace, object, issuer, username, groups, usages, isCa]))
    .digest();
}
