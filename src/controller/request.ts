/**
 * Authorities under a root whose key is offline. A request is left and waits, over restarts, until whoever has the root's key
 * has signed it; what comes back is checked and kept as prepared. An authority that another CA had before is taken in likewise.
 */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import type { AuthorityRecord, AuthorityRequest } from "../ledger/state.ts";
import { encodeName } from "../pki/authority.ts";
import { createAuthorityCsr, readAuthorityCsr } from "../pki/authority-request.ts";
import { type Certificate, readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import { type Others, readAuthority } from "../pki/others.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import {
  type AuthorityParts,
  type By,
  byItself,
  makeKey,
  newId,
  seconds,
  toCommonName,
  withCertificate,
} from "./generation.ts";
import { checkKey, checkUnused } from "./root.ts";
import { isOffline, type Step } from "./succession.ts";

const dayMs = 86_400_000;
/** How much longer than asked an answer may live: whoever signs counts whole days, by a clock of their own. */
const slackMs = 2 * dayMs;

export async function requestAuthority(
  { tenant, root, reason }: Extract<Step, { kind: "request" }>,
  parts: AuthorityParts,
): Promise<void> {
  const { algorithm, validityDays } = tenant.authority;
  const { id, signer } = await makeKey("tenant", tenant.name, algorithm, parts);
  const csr = await createAuthorityCsr(signer, toCommonName("tenant", tenant.name, id));
  const details = { id, root: root.id, algorithm, validityDays: String(validityDays), csrSha256: sha256(csr) };
  const request = { id, tenant: tenant.name, root: root.id, algorithm, csr, validityDays };
  // If we stop before this: a key that nothing names. After it: the request waits, on every replica.
  await parts.state.addAuthorityRequest(
    { ...request, requestedAt: seconds(parts.now()) },
    byItself(tenant.name, "request-authority", reason, details),
  );
}

export async function withdrawRequest(
  { request, reason }: Extract<Step, { kind: "withdraw" }>,
  { state }: AuthorityParts,
): Promise<void> {
  const act = byItself(request.tenant, "withdraw-authority-request", reason, { id: request.id });
  // If we stop before this, an answer to it would still be taken; after it, another is due where one is needed.
  await state.withdrawAuthorityRequest(request.id, act);
}

/** What an answer comes to. `record` is there already where `changed` is false. */
export interface Taken {
  readonly record: AuthorityRecord;
  readonly warnings: readonly string[];
  readonly changed: boolean;
}

export interface TakeParts extends AuthorityParts {
  readonly tenants: ReadonlyMap<string, MeshTenant>;
  /** Only looks. */
  readonly dryRun: boolean;
}

/**
 * Takes the certificate that answers a request, and keeps it as prepared.
 * @throws Refusal `not-found` when no request waits for its key, `not-ready` when it was answered already, `malformed` or
 * `csr-key` naming what is wrong with it.
 */
export async function takeAuthority(der: Uint8Array, by: By, parts: TakeParts): Promise<Taken> {
  const [records, requests] = await Promise.all([parts.state.authorities(), parts.state.authorityRequests()]);
  const given = readCertificate(der);
  const known = findSame(records, given);
  if (known !== undefined) return { record: known, warnings: [], changed: false };
  const request = findRequest(requests, given, records);
  const root = records.find(({ id }) => id === request.root);
  const tenant = parts.tenants.get(request.tenant);
  if (root === undefined || tenant === undefined) throw new Error(`the request ${request.id} has no root or no tenant`);
  const { certificate, warnings } = readUnder(root, der, parts);
  checkAnswer(certificate, request);
  checkLongEnough(certificate, tenant, parts.now());
  const signer = await parts.custody.openKey(request.id);
  if (!isSame(signer.spki, certificate.spki)) throw new Error(`the key ${request.id} in custody is another`);
  const { id, algorithm } = request;
  const record = toRecord(certificate, { id, algorithm, owner: tenant.name, parent: root.id });
  if (parts.dryRun) return { record, warnings, changed: true };
  const act = { log: tenant.name, verb: "take-authority", ...by, details: { id, root: root.id, algorithm } };
  // If we stop before this, the request waits. After it: prepared, which signs nothing yet; and the request is answered.
  await parts.state.answerAuthorityRequest(record, withCertificate(act, der));
  return { record, warnings, changed: true };
}

/** An authority that another CA has used until now: its certificate in DER, its key in PKCS #8. */
export interface Former {
  readonly tenant: MeshTenant;
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
}

/** Takes over an authority of another CA, under an offline root of the tenant's. @throws Refusal as above. */
export async function importAuthority(former: Former, by: By, parts: TakeParts): Promise<Taken> {
  const { tenant, key } = former;
  const records = await parts.state.authorities();
  const given = readCertificate(former.certificate);
  const isOwn = ({ kind, owner, state }: AuthorityRecord): boolean =>
    kind === "tenant" && owner === tenant.name && state !== "revoked";
  checkUnused(
    given,
    records.filter((record) => !isOwn(record)),
  );
  const known = findSame(records, given);
  if (known !== undefined) return { record: known, warnings: [], changed: false };
  const root = records.find((r) => r.kind === "root" && r.owner === tenant.root && r.state === "active");
  if (root === undefined)
    throw new Refusal("not-ready", `TrustRoot "${tenant.root}" has not been brought: bring it first`);
  if (!isOffline(root))
    throw new Refusal(
      "not-ready",
      `the key of TrustRoot "${tenant.root}" is here, and its authorities are made by themselves`,
    );
  const { certificate, algorithm, warnings } = readUnder(root, former.certificate, parts);
  checkKey(key, certificate, parts.custody);
  if (algorithm !== tenant.authority.algorithm) {
    throw new Refusal(
      "not-ready",
      `the authority is ${algorithm}, and MeshTenant "${tenant.name}" wants ${tenant.authority.algorithm}: set its spec.authority.algorithm to ${algorithm} for as long as this one signs`,
    );
  }
  checkLongEnough(certificate, tenant, parts.now());
  const id = newId("tenant", tenant.name, parts);
  const record = toRecord(certificate, { id, algorithm, owner: tenant.name, parent: root.id });
  if (parts.dryRun) return { record, warnings, changed: true };
  await parts.custody.importKey?.(id, key);
  const act = { log: tenant.name, verb: "import-authority", ...by, details: { id, root: root.id, algorithm } };
  // If we stop before this: a key that nothing names. After it: prepared, which signs nothing yet.
  await parts.state.addAuthority(record, withCertificate(act, certificate.der));
  return { record, warnings, changed: true };
}

function findSame(records: readonly AuthorityRecord[], { der }: Certificate): AuthorityRecord | undefined {
  return records.find((record) => record.kind === "tenant" && isSame(record.certificate, der));
}

function findRequest(
  requests: readonly AuthorityRequest[],
  { spki }: Certificate,
  records: readonly AuthorityRecord[],
): AuthorityRequest {
  const request = requests.find(({ csr }) => isSame(readAuthorityCsr(csr).spki, spki));
  if (request !== undefined) return request;
  const answered = records.find(({ certificate }) => isSame(readCertificate(certificate).spki, spki));
  if (answered !== undefined)
    throw new Refusal("not-ready", `the request for this key was answered by another certificate: ${answered.id}`);
  throw new Refusal(
    "not-found",
    "no authority waits for a certificate of this key: `espalier authority list` shows what waits",
  );
}

function readUnder(root: AuthorityRecord, der: Uint8Array, { now }: AuthorityParts): Others {
  try {
    return readAuthority(der, root.certificate, now());
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(error.code, `not an authority under TrustRoot "${root.owner}" (${root.id}): ${error.message}`, {
      cause: error,
    });
  }
}

/** What the request asked for, and no more. */
function checkAnswer(certificate: Certificate, request: AuthorityRequest): void {
  const wrong = (rule: string): Refusal => new Refusal("malformed", `the answer to ${request.id}: ${rule}`);
  const { commonName } = readAuthorityCsr(request.csr);
  if (!isSame(certificate.subject, encodeName(commonName)))
    throw wrong(`its subject is not the one asked for, CN=${commonName}`);
  if (certificate.pathLength !== 0) throw wrong("its path length is not 0: it is to sign leaves and no authorities");
  if (!certificate.keyUsage.includes("cRLSign")) throw wrong("its key usage lacks cRLSign, which was asked for");
  const latest = new Date(+certificate.notBefore + request.validityDays * dayMs + slackMs);
  if (certificate.notAfter > latest)
    throw wrong(
      `it lives longer than the ${request.validityDays} days asked for, until ${certificate.notAfter.toISOString()}`,
    );
}

/** As the documents have it of those that are made here: twice as long as the longest leaf. */
function checkLongEnough({ notAfter }: Certificate, { name, profiles }: MeshTenant, now: Date): void {
  const { maximumSeconds } = profiles.workload;
  if (+notAfter - +now >= 2 * maximumSeconds * 1000) return;
  throw new Refusal(
    "malformed",
    `it ends ${notAfter.toISOString()}: an authority of MeshTenant "${name}" has to live at least twice as long as its certificates of up to ${maximumSeconds} s`,
  );
}

function toRecord(
  { der, notBefore, notAfter }: Certificate,
  named: Pick<AuthorityRecord, "id" | "algorithm" | "owner"> & { readonly parent: string },
): AuthorityRecord {
  return { kind: "tenant", state: "prepared", keyName: named.id, ...named, certificate: der, notBefore, notAfter };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
