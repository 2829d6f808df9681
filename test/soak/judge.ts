/** What must hold after a soak: of what clients hold, of what they were told, and of the ledger. */
import { readEntry } from "../../src/ledger/entry.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import type { Call } from "../support/load.ts";
import type { Plan } from "./plan.ts";

/** A row of the ledger's intents, as the database has it. */
export interface IntentRow {
  readonly body: Uint8Array;
  readonly signature: Uint8Array | null;
}

export interface Judged {
  /** Each names what does not hold; empty when all does. */
  readonly faults: readonly string[];
  readonly figures: Readonly<Record<string, number>>;
}

/** What an outage may look like, to one attempt. */
const outages: ReadonlySet<string> = new Set(["OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]);
/** Faults of one kind that are told. */
const toldMax = 5;

/** `successMin` is the part of the calls that must succeed while processes are killed. */
export function judge(plan: Plan, calls: readonly Call[], rows: readonly IntentRow[], successMin: number): Judged {
  const faults = [...judgeCalls(plan, calls, successMin), ...judgeCertificates(calls, rows)];
  const during = calls.filter(({ startMs }) => startMs < plan.calmMs);
  const attempts = calls.flatMap((call) => call.attempts);
  const count = (status: string): number => attempts.filter((attempt) => attempt.status === status).length;
  return {
    faults,
    figures: {
      kills: plan.events.filter(({ kind }) => kind === "kill").length,
      calls: calls.length,
      callsWhileKilling: during.length,
      succeededAtOnce: during.filter((call) => call.held !== undefined && call.attempts.length === 1).length,
      succeededLater: during.filter((call) => call.held !== undefined && call.attempts.length > 1).length,
      failed: during.filter((call) => call.held === undefined).length,
      callsInCalm: calls.length - during.length,
      attempts: attempts.length,
      attemptsUnavailable: count("UNAVAILABLE"),
      attemptsExhausted: count("RESOURCE_EXHAUSTED"),
      intents: rows.length,
      intentsUnrecorded: rows.filter(({ signature }) => signature === null).length,
    },
  };
}

function judgeCalls(plan: Plan, calls: readonly Call[], successMin: number): readonly string[] {
  const strange = calls.flatMap(({ attempts }) => attempts).filter(({ status }) => !outages.has(status));
  const during = calls.filter(({ startMs }) => startMs < plan.calmMs);
  const calm = calls.filter(({ startMs }) => startMs >= plan.calmMs);
  const succeeded = during.filter(({ held }) => held !== undefined).length;
  const late = calm.filter(({ held }) => held === undefined);
  return [
    ...told(strange.map(({ atMs, status, message }) => `at ${atMs} ms an attempt was told ${status}: ${message}`)),
    ...(succeeded < during.length * successMin
      ? [`${succeeded} of ${during.length} calls succeeded within five attempts, and ${successMin * 100} % have to`]
      : []),
    ...told(
      late.map(({ startMs, attempts }) => `a call at ${startMs} ms, in the calm, failed: ${attempts.at(-1)?.message}`),
    ),
    ...(during.length === 0 || calm.length === 0 ? ["there were no calls to judge"] : []),
  ];
}

function judgeCertificates(calls: readonly Call[], rows: readonly IntentRow[]): readonly string[] {
  const faults: string[] = [];
  const intents = new Map<string, IntentRow & { readonly tbs: Uint8Array; readonly time: Date }>();
  for (const row of rows) {
    const entry = readEntry(row.body);
    if (entry.kind !== "intent") continue;
    const serial = toHex(entry.draft.serial);
    if (intents.has(serial)) faults.push(`the ledger has serial ${serial} twice`);
    intents.set(serial, { ...row, tbs: entry.draft.tbs, time: entry.time });
  }
  const held = new Set<string>();
  for (const { leaf, at } of calls.flatMap((call) => call.held ?? [])) {
    const { serial: octets, tbs, signature } = readCertificate(leaf);
    const serial = toHex(octets);
    const intent = intents.get(serial);
    if (held.has(serial)) faults.push(`two clients hold serial ${serial}`);
    held.add(serial);
    if (intent === undefined) faults.push(`a client holds ${serial}, and the ledger has no intent of it`);
    else if (!same(intent.tbs, tbs)) faults.push(`a client holds other bytes than were intended for ${serial}`);
    else if (intent.time > at) faults.push(`${serial} was intended after its client had it`);
    else if (intent.signature !== null && !same(intent.signature, signature))
      faults.push(`the ledger has another signature of ${serial} than its client`);
  }
  return told(faults);
}

function told(faults: readonly string[]): readonly string[] {
  const more = faults.length - toldMax;
  return more > 0 ? [...faults.slice(0, toldMax), `and ${more} more of the kind`] : faults;
}

function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
