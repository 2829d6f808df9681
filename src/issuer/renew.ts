/** Authorities are renewed behind everything else, by the issuer that leads; and whoever looks is told what ends, and when. */
import { setTimeout } from "node:timers/promises";
import { makeAuthorities } from "../controller/authority.ts";
import { type CrlStep, makeCrls } from "../controller/crl.ts";
import type { AuthorityParts } from "../controller/generation.ts";
import { isNearEnd, nextStep, type Step } from "../controller/succession.ts";
import { type AuthorityRecord, type AuthorityRequest, type AuthorityUnder, isUnder } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Declared } from "../resources/declared.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import { copySuspensions } from "./copy-suspensions.ts";
import type { LiveWorld } from "./live.ts";
import type { Rotations } from "./rotations.ts";
import type { World } from "./world.ts";

export interface RenewParts extends AuthorityParts {
  readonly log: Log;
}

export interface RenewalParts extends RenewParts {
  readonly live: Pick<LiveWorld, "world" | "refresh">;
  /** Whether this issuer is the one that leads. */
  readonly leads: () => boolean;
  readonly rotations?: Pick<Rotations, "advance">;
}

const renewalMsDefault = 60_000;
/** Steps of rotations in one pass: one follows another at once only where nobody has a certificate. */
const turnsMax = 4;
/** How often one authority's end is told again. */
const tellMs = 86_400_000;

/** Does what is due, and logs it. @throws the first tenant's failure, once all the others have theirs. */
export async function renewAuthorities(declared: Declared, { log, ...parts }: RenewParts): Promise<void> {
  try {
    await makeAuthorities(declared, parts, (step) => tellStep(step, log));
  } finally {
    // Of what was made just now too: a new authority signs nothing yet.
    await makeCrls(declared, parts, (step) => tellCrl(step, log)).catch((error: unknown) =>
      log.error("CRLs not made", {}, error),
    );
  }
}

export function startRenewal(parts: RenewalParts, intervalMs = renewalMsDefault): AsyncDisposable {
  const { live, log, leads } = parts;
  const closing = new AbortController();
  const told = new Map<string, number>();
  async function renew(): Promise<void> {
    const failed = (error: unknown): void => log.error("authorities not made", {}, error);
    await renewAuthorities(live.world().declared, parts).catch(failed);
  }
  /** What has stood under a root follows at once: until then it makes leaves that hold the next gate. */
  async function rotate(): Promise<void> {
    for (let turn = 0; turn < turnsMax && (await parts.rotations?.advance()) === true; turn += 1) {
      await live.refresh();
      await renew();
    }
  }
  async function pass(): Promise<void> {
    if (leads()) {
      await renew();
      await rotate().catch((error: unknown) => log.error("roots not rotated", {}, error));
      if (await copySuspensions(live.world().declared, parts)) await live.refresh();
    }
    // Also what was written though we were told that it was not: else the old one would sign on until it ends.
    const { state } = parts;
    const [records, requests, crls] = await Promise.all([state.authorities(), state.authorityRequests(), state.crls()]);
    const { authorities, authorityRequests, crls: known } = live.world();
    const hasCrls = crls.every(({ authority, number }) => known.get(authority)?.number === number);
    if (!hasCrls || toText(records, requests) !== toText(authorities.records, authorityRequests)) await live.refresh();
    if (leads()) tellNearEnd(live.world(), parts.now(), told, log);
  }
  async function passes(): Promise<void> {
    while (!closing.signal.aborted) {
      await setTimeout(intervalMs, undefined, closing).catch(() => undefined);
      if (closing.signal.aborted) return;
      await pass().catch((error: unknown) => log.error("authorities not looked at", {}, error));
    }
  }
  const running = passes();
  return {
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}

/** What becomes next of a tenant's authority that signs leaves, or of the one that signs CA certificates, in a sentence. */
export function toNext(
  tenant: MeshTenant,
  { authorities, authorityRequests }: World,
  now: Date,
  of: AuthorityUnder,
): string {
  const next = nextStep(tenant, authorities.records, now, of === "tenant" ? authorityRequests : [], of);
  if (next.kind === "waiting")
    return `${next.request.id} waits for its certificate: \`espalier authority request ${tenant.name}\` has what is to be signed`;
  if (next.kind === "stuck") {
    if (next.reason !== undefined) return `nothing: ${next.reason}`;
    if (next.root === undefined) return `nothing: TrustRoot "${tenant.root}" has no active root`;
    return `no successor: TrustRoot "${tenant.root}" ends ${next.root.notAfter.toISOString()}, and no authority outlives it`;
  }
  const when = next.at > now ? `from ${next.at.toISOString()}` : "now";
  switch (next.step.kind) {
    case "prepare":
      return `a successor is made ${when}`;
    case "request":
      return `a successor is asked for ${when}: the root's key is offline`;
    case "withdraw":
      return `the request of ${next.step.request.id} is withdrawn ${when}: ${next.step.reason}`;
    case "activate":
      return `${next.step.successor.id} signs ${when}`;
    case "dismiss":
    case "retire":
      return `${next.step.record.id} is given up ${when}: ${next.step.reason}`;
  }
}

/** What signs now, of everything that is declared: a bounded number. */
export function signingNow({ authorities, declared, hub }: World): readonly AuthorityRecord[] {
  const owners: Readonly<Record<AuthorityRecord["kind"], (name: string) => boolean>> = {
    hub: (name) => name === hub,
    root: (name) => declared.roots.has(name),
    serving: (name) => declared.clusters.has(name),
    tenant: (name) => declared.tenants.has(name),
    delegating: (name) => declared.tenants.get(name)?.requests?.authorities !== undefined,
  };
  return authorities.records.filter(({ state, kind, owner }) => state === "active" && owners[kind](owner));
}

function tellStep(step: Step, log: Log): void {
  switch (step.kind) {
    case "prepare":
      return log.info("authority prepared", { tenant: step.tenant.name, kind: step.of, reason: step.reason });
    case "request":
      return log.warn("authority waits for its certificate", { tenant: step.tenant.name, reason: step.reason });
    case "withdraw": {
      const { tenant, id: authority } = step.request;
      return log.info("authority request withdrawn", { tenant, authority, reason: step.reason });
    }
    case "activate": {
      const { tenant, successor, active } = step;
      return log.info("authority active", { tenant: tenant.name, authority: successor.id, replaces: active?.id });
    }
    case "dismiss":
      return log.info("authority dismissed", toEnded(step));
    case "retire":
      return log.info("authority retired", toEnded(step));
  }
}

function toEnded({ record: { owner, id }, reason }: Extract<Step, { kind: "dismiss" | "retire" }>) {
  return { tenant: owner, authority: id, reason };
}

function tellCrl({ record: { kind, owner, id }, reason }: CrlStep, log: Log): void {
  log.info("CRL made", { kind, owner, authority: id, reason });
}

function tellNearEnd(world: World, now: Date, told: Map<string, number>, log: Log): void {
  for (const record of signingNow(world)) {
    const { id: authority, kind, owner, notAfter } = record;
    if (!isNearEnd(record, now) || +now - (told.get(authority) ?? Number.NEGATIVE_INFINITY) < tellMs) continue;
    told.set(authority, +now);
    const tenant = world.declared.tenants.get(owner);
    const next = isUnder(kind) && tenant !== undefined ? toNext(tenant, world, now, kind) : "it has to be rotated";
    log.warn("authority near its end", { kind, owner, authority, notAfter: notAfter.toISOString(), next });
  }
}

function toText(records: readonly AuthorityRecord[], requests: readonly AuthorityRequest[]): string {
  return [...records.map(({ id, state }) => `${id} ${state}`), ...requests.map(({ id }) => `${id} waits`)].join("\n");
}
