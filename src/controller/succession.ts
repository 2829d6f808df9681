/**
 * What a tenant's authorities come to, and when: `prepared → active → retiring → retired`. Pure: the documents, the records and
 * a time make the next step, so that it is the same for whoever asks, before a crash and after it.
 */
import type { AuthorityRecord, AuthorityRequest } from "../ledger/state.ts";
import type { Resources } from "../resources/declared.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";

/** What is done for one tenant: one durable change of its authorities. */
export type Step =
  | { readonly kind: "prepare"; readonly tenant: MeshTenant; readonly root: AuthorityRecord; readonly reason: string }
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
  | { readonly kind: "retire"; readonly record: AuthorityRecord; readonly reason: string };

export type Next =
  | { readonly kind: "step"; readonly step: Step; readonly at: Date }
  /** A person has to have it signed. */
  | { readonly kind: "waiting"; readonly request: AuthorityRequest }
  /** Nobody can make one under this root: it is not there, or it ends with what there is. */
  | { readonly kind: "stuck"; readonly root: AuthorityRecord | undefined };

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
    const next = nextStep(tenant, records, now, requests);
    return next.kind === "step" && next.at <= now ? [next.step] : [];
  });
  // No leaf outlives its authority (RFC 5280's path, and our lint), so nothing that chains to these is valid.
  const ended = records.filter((r) => r.kind === "tenant" && r.state === "retiring" && r.notAfter < now);
  const orphans = requests.filter((request) => !tenants.has(request.tenant));
  return [
    ...steps,
    ...ended.map((record): Step => ({ kind: "retire", record, reason: "it has ended" })),
    ...orphans.map((request): Step => ({ kind: "withdraw", request, reason: "its tenant is declared no more" })),
  ];
}

export function nextStep(
  tenant: MeshTenant,
  records: readonly AuthorityRecord[],
  now: Date,
  requests: readonly AuthorityRequest[] = [],
): Next {
  const own = (state: AuthorityRecord["state"]): AuthorityRecord | undefined =>
    records.find((r) => r.kind === "tenant" && r.owner === tenant.name && r.state === state);
  const active = own("active");
  const successor = own("prepared");
  if (successor !== undefined) return activation(tenant, successor, active, records, now);
  const root = records.find((r) => r.kind === "root" && r.owner === tenant.root && r.state === "active");
  const flaw = active === undefined ? `tenant ${tenant.name} has no authority` : flawOf(active, tenant, records);
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
  return { kind: "step", step: { kind: isOffline(root) ? "request" : "prepare", tenant, root, reason }, at };
}

/** Whether a root's key is somewhere else: only its certificate is here. */
export function isOffline({ keyName }: AuthorityRecord): boolean {
  return keyName === "";
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
  const waits = active !== undefined && +active.notAfter - +now >= leafMs(tenant);
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
function successionAt({ notBefore, notAfter }: AuthorityRecord, tenant: MeshTenant): Date {
  return new Date(+notAfter - Math.max((+notAfter - +notBefore) / 2, leafMs(tenant) + marginMs));
}

/** The longest leaf that it gives at any door. */
export function leafMs({ profiles, requests }: MeshTenant): number {
  return Math.max(profiles.workload.maximumSeconds, requests?.maximumSeconds ?? 0) * 1000;
}
