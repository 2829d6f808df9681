/**
 * What a tenant's authorities come to, and when: `prepared → active → retiring → retired`. Pure: the documents, the records and
 * a time make the next step, so that it is the same for whoever asks, before a crash and after it.
 */
import { type AuthorityRecord, type AuthorityRequest, type AuthorityUnder, isUnder } from "../ledger/state.ts";
import type { Resources } from "../resources/declared.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";

/** What is done for one tenant: one durable change of its authorities, of those that sign leaves or of those that sign CA certificates. */
export type Step =
  | {
      readonly kind: "prepare";
      readonly tenant: MeshTenant;
      readonly of: AuthorityUnder;
      readonly root: AuthorityRecord;
      /** Whom it is to follow. */
      readonly active?: AuthorityRecord;
      readonly reason: string;
    }
  /** The same where the root's key is offline: a request is left for whoever has it. */
  | { readonly kind: "request"; readonly tenant: MeshTenant; readonly root: AuthorityRecord; readonly reason: string }
  | { readonly kind: "withdraw"; readonly request: AuthorityRequest; readonly reason: string }
  | {
      readonly kind: "activate";
      readonly tenant: MeshTenant;
      readonly successor: AuthorityRecord;
      readonly root: AuthorityRecord;
      readonly active?: AuthorityRecord;
    }
  /** It signs nothing new from then on, and has CRLs until it ends. */
  | { readonly kind: "dismiss"; readonly record: AuthorityRecord; readonly reason: string }
  | { readonly kind: "retire"; readonly record: AuthorityRecord; readonly reason: string };

export type Next =
  | { readonly kind: "step"; readonly step: Step; readonly at: Date }
  /** A person has to have it signed. */
  | { readonly kind: "waiting"; readonly request: AuthorityRequest }
  /** Nobody can make one under this root: it is not there, or it ends with what there is, or for the reason that is said. */
  | { readonly kind: "stuck"; readonly root: AuthorityRecord | undefined; readonly reason?: string };

/** Clocks of those who verify may be behind ours by this much. */
export const authorityBackdateMs = 3_600_000;
/** A successor is made this long before it signs, for what is wrong with it to show while nothing hangs on it. */
export const aheadMs = 600_000;
/** One that could not take over in this time is given up, and another is made. */
const preparedMsMax = 3_600_000;
/** The leaf that proves one has ended a second before it is signed, and all above it has to be valid by then. */
const provenMs = 1000;
/** How long before the last full-length leaf its successor is due. */
const marginMs = 3_600_000;

/** Everything that is due, at most one step for each tenant, and what has ended. */
export function decideAuthorities(
  { tenants }: Resources,
  records: readonly AuthorityRecord[],
  now: Date,
  requests: readonly AuthorityRequest[] = [],
): readonly Step[] {
  const steps = [...tenants.values()].flatMap((tenant) => {
    const nexts = [nextStep(tenant, records, now, requests)];
    if (tenant.requests?.authorities === undefined) return [...due(nexts, now), ...unwanted(tenant, records)];
    return due([...nexts, nextStep(tenant, records, now, [], "delegating")], now);
  });
  // No leaf outlives its authority (RFC 5280's path, and our lint), so nothing that chains to these is valid.
  const ended = records.filter((r) => isUnder(r.kind) && r.state === "retiring" && r.notAfter < now);
  const orphans = requests.filter((request) => !tenants.has(request.tenant));
  return [
    ...steps,
    ...ended.map((record): Step => ({ kind: "retire", record, reason: "it has ended" })),
    ...orphans.map((request): Step => ({ kind: "withdraw", request, reason: "its tenant is declared no more" })),
  ];
}

function due(nexts: readonly Next[], now: Date): readonly Step[] {
  return nexts.flatMap((next) => (next.kind === "step" && next.at <= now ? [next.step] : []));
}

/** Of a tenant that gives no CA certificates any more: those that are out go on to their end, and their CRLs. */
function unwanted({ name }: MeshTenant, records: readonly AuthorityRecord[]): readonly Step[] {
  const reason = `MeshTenant "${name}" gives no CA certificates`;
  const own = records.filter(({ kind, owner }) => kind === "delegating" && owner === name);
  return own.flatMap((record): readonly Step[] => {
    if (record.state === "prepared") return [{ kind: "retire", record, reason }];
    return record.state === "active" ? [{ kind: "dismiss", record, reason }] : [];
  });
}

/** What becomes next of a tenant's authority that signs leaves, or of the one that signs CA certificates. */
export function nextStep(
  tenant: MeshTenant,
  records: readonly AuthorityRecord[],
  now: Date,
  requests: readonly AuthorityRequest[] = [],
  of: AuthorityUnder = "tenant",
): Next {
  const own = (state: AuthorityRecord["state"]): AuthorityRecord | undefined =>
    records.find((r) => r.kind === of && r.owner === tenant.name && r.state === state);
  const active = own("active");
  const successor = own("prepared");
  const root = records.find((r) => r.kind === "root" && r.owner === tenant.root && r.state === "active");
  const barred = barredBy(tenant, of, records, now);
  if (barred !== undefined) return { kind: "stuck", root, reason: barred };
  if (successor !== undefined) return activation(tenant, successor, active, records, now);
  const flaw = active === undefined ? `tenant ${tenant.name} has no ${nameOf[of]}` : flawOf(active, tenant, records);
  const at = active === undefined || flaw !== undefined ? now : successionAt(active, tenant);
  const request = requests.find((one) => one.tenant === tenant.name);
  const stale = request && staleness(request, tenant, root, at > now);
  if (request !== undefined && stale !== undefined)
    return { kind: "step", step: { kind: "withdraw", request, reason: stale }, at: now };
  // Under a root that is about to end each would be as short-lived as the last, and there would be no end of them.
  const until = root && endUnder(root, tenant, new Date(Math.max(+at, +now)));
  const useful = until !== undefined && until > now && (flaw !== undefined || until > (active?.notAfter ?? now));
  if (root === undefined || !useful) return { kind: "stuck", root };
  if (request !== undefined) return { kind: "waiting", request };
  const reason = flaw ?? `${active?.id} ends ${active?.notAfter.toISOString()}`;
  if (!isOffline(root))
    return { kind: "step", step: { kind: "prepare", tenant, of, root, ...(active && { active }), reason }, at };
  if (of === "delegating")
    return {
      kind: "stuck",
      root,
      reason: `the key of TrustRoot "${tenant.root}" is offline, and this one has to follow by itself`,
    };
  return { kind: "step", step: { kind: "request", tenant, root, reason }, at };
}

/** Whether a root's key is somewhere else: only its certificate is here. */
export function isOffline({ keyName }: AuthorityRecord): boolean {
  return keyName === "";
}

const nameOf: Readonly<Record<AuthorityUnder, string>> = { tenant: "authority", delegating: "delegating authority" };

/**
 * A CA certificate that somebody else holds can forge whoever is under the same root, and documents may change from one day to the
 * next: so nobody is taken in under a root where such certificates may be out, nor given any where others' workloads may trust it.
 */
function barredBy(
  { name, root }: MeshTenant,
  of: AuthorityUnder,
  records: readonly AuthorityRecord[],
  now: Date,
): string | undefined {
  const trusted: readonly AuthorityRecord["state"][] = ["prepared", "active", "retiring"];
  const roots = records.filter((r) => r.kind === "root" && r.owner === root && trusted.includes(r.state));
  const ids = new Set(roots.map(({ id }) => id));
  const others = records.filter(
    (r) => isUnder(r.kind) && r.owner !== name && r.notAfter > now && ids.has(r.parent ?? ""),
  );
  const other = others.find(
    ({ kind, state }) => of === "delegating" || (kind === "delegating" && state !== "prepared"),
  );
  if (other === undefined) return undefined;
  const until = `${other.id} of MeshTenant "${other.owner}" ends ${other.notAfter.toISOString()}`;
  return of === "delegating"
    ? `others have been under TrustRoot "${root}": ${until}`
    : `CA certificates of another tenant are under TrustRoot "${root}": ${until}; take another root, or rotate this one`;
}

/** Why an answer to this request would be of no use any more. */
function staleness(
  request: AuthorityRequest,
  { authority }: MeshTenant,
  root: AuthorityRecord | undefined,
  early: boolean,
): string | undefined {
  if (root?.id !== request.root) return "its root is not active any more";
  if (request.algorithm !== authority.algorithm) return `its key is ${request.algorithm}, not ${authority.algorithm}`;
  return early ? "nothing is due any more" : undefined;
}

/** When an authority ends that is made at that time: never after its root. */
export function endUnder(root: AuthorityRecord, { authority }: MeshTenant, at: Date): Date {
  const wanted = Math.floor(+at / 1000) * 1000 + authority.validityDays * 86_400_000;
  return new Date(Math.min(wanted, +root.notAfter));
}

/** From a third of its life left, somebody has to be told that it has no successor. */
export function isNearEnd({ notBefore, notAfter }: AuthorityRecord, now: Date): boolean {
  return +notAfter - +now < (+notAfter - +notBefore) / 3;
}

function activation(
  tenant: MeshTenant,
  successor: AuthorityRecord,
  active: AuthorityRecord | undefined,
  records: readonly AuthorityRecord[],
  now: Date,
): Next {
  const root = records.find((r) => r.id === successor.parent);
  const preparedAt = +successor.notBefore + authorityBackdateMs;
  // One from an offline root was signed whenever a person found the time, and nobody can make another.
  const made = root !== undefined && !isOffline(root);
  const late = made && +now - preparedAt > preparedMsMax ? "it could not take over in time" : undefined;
  const reason = flawOf(successor, tenant, records) ?? late;
  if (reason !== undefined || root === undefined) {
    const step = { kind: "retire", record: successor, reason: reason ?? "its root is not there" } as const;
    return { kind: "step", step, at: now };
  }
  // Who has nothing that gives full-length leaves waits for nothing.
  const waits = active !== undefined && +active.notAfter - +now >= longestMs(tenant, successor.kind);
  const step = { kind: "activate", tenant, successor, root, ...(active === undefined ? {} : { active }) } as const;
  const provable = Math.max(+successor.notBefore, +root.notBefore) + provenMs;
  return { kind: "step", step, at: new Date(Math.max(waits ? preparedAt + aheadMs : +now, provable)) };
}

/** Why it has to be replaced however long it lives. */
function flawOf(
  record: AuthorityRecord,
  { authority, root }: MeshTenant,
  records: readonly AuthorityRecord[],
): string | undefined {
  if (record.algorithm !== authority.algorithm)
    return `${record.id} is ${record.algorithm}, not ${authority.algorithm}`;
  const parent = records.find((r) => r.id === record.parent);
  if (parent?.owner !== root) return `${record.id} is not under TrustRoot "${root}"`;
  return parent.state === "active" ? undefined : `the root of ${record.id} is not active any more`;
}

/** At half of its life; or when leaves would soon be cut short, where they may be almost as long as that. */
function successionAt({ kind, notBefore, notAfter }: AuthorityRecord, tenant: MeshTenant): Date {
  return new Date(+notAfter - Math.max((+notAfter - +notBefore) / 2, longestMs(tenant, kind) + marginMs));
}

/** What an authority of this kind gives at the longest. */
function longestMs(tenant: MeshTenant, kind: AuthorityRecord["kind"]): number {
  return kind === "delegating" ? (tenant.requests?.authorities?.maximumSeconds ?? 0) * 1000 : leafMs(tenant);
}

/** The longest leaf that it gives at any door. */
export function leafMs({ profiles, requests }: MeshTenant): number {
  return Math.max(profiles.workload.maximumSeconds, requests?.maximumSeconds ?? 0) * 1000;
}
