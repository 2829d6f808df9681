/** A Lease as an election reads and writes it. */
import type { V1Lease } from "@kubernetes/client-node";
import { recordAt, textAt } from "./json.ts";
import { type Meta, readMeta } from "./meta.ts";
import { toMicroTime } from "./micro-time.ts";
import { resources, toApiVersion } from "./resource.ts";
import type { Wire } from "./wire.ts";

export interface LeaseRecord extends Meta {
  /** Empty when nobody does. */
  readonly holder: string;
  readonly durationMs: number;
  /** As they stand there: never compared with a clock of ours, only written back. */
  readonly acquireTime: string | undefined;
  readonly transitions: number;
}

/** A holder that claims more than this is taken to have claimed this. */
const durationSecondsMax = 300;

/** @throws Refusal `malformed`. */
export function readLease(object: unknown): LeaseRecord {
  const spec = recordAt(object, "spec");
  const seconds = numberAt(spec["leaseDurationSeconds"]);
  return {
    ...readMeta(object),
    holder: textAt(spec, "holderIdentity") ?? "",
    durationMs: Math.min(seconds, durationSecondsMax) * 1000,
    acquireTime: textAt(spec, "acquireTime"),
    transitions: numberAt(spec["leaseTransitions"]),
  };
}

export interface LeaseClaim {
  readonly namespace: string;
  readonly name: string;
  /** Empty to let go. */
  readonly holder: string;
  readonly durationMs: number;
  readonly now: Date;
}

/** What to write over `before`; its resource version has the API server refuse it if anybody else wrote meanwhile. */
export function toLease({ namespace, name, holder, durationMs, now }: LeaseClaim, before?: LeaseRecord): Wire<V1Lease> {
  const time = toMicroTime(now);
  const same = before?.holder === holder;
  return {
    apiVersion: toApiVersion(resources.leases),
    kind: resources.leases.kind,
    metadata: { namespace, name, ...(before === undefined ? {} : { resourceVersion: before.resourceVersion }) },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
      acquireTime: same ? (before.acquireTime ?? time) : time,
      renewTime: time,
      leaseTransitions: (before?.transitions ?? 0) + (before === undefined || same ? 0 : 1),
    },
  };
}

function numberAt(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}
