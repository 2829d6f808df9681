/**
 * The signed list of all heads: one canonical object of {epoch, logs: {log: {root, size}}, time}. Whoever has a list and
 * one log's entries can tell that this log is whole, and sees of the others a hash and a size.
 */
import { createPublicKey, verify } from "node:crypto";
import { digests } from "../custody/algorithm.ts";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { type CanonicalObject, canonical, toObject } from "./canonical.ts";
import { readTime, sameBytes, toBuffer, toHex, toTime } from "./octets.ts";

export interface LogHead {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Head {
  readonly epoch: number;
  readonly time: Date;
  readonly logs: ReadonlyMap<string, LogHead>;
}

/** The public half of the key that signs heads. */
export interface LedgerKey {
  readonly algorithm: KeyAlgorithm;
  readonly spki: Uint8Array;
}

export function encodeHead(head: Head): Uint8Array {
  const logs: CanonicalObject = Object.fromEntries(
    [...head.logs].map(([log, { size, root }]) => [log, { root: toHex(root), size }]),
  );
  return Buffer.from(canonical({ epoch: head.epoch, logs, time: toTime(head.time) }), "utf8");
}

/** Reads what `encodeHead` wrote, and nothing else. Refusal `malformed` otherwise. */
export function readHead(bytes: Uint8Array): Head {
  const fields = readJson(bytes);
  const epoch = fields?.["epoch"];
  const time = readTime(String(fields?.["time"]));
  const logs = toObject(fields?.["logs"]);
  if (typeof epoch !== "number" || !Number.isSafeInteger(epoch) || time === undefined || logs === undefined) {
    throw malformed();
  }
  const head = { epoch, time, logs: new Map(Object.entries(logs).map(([log, value]) => [log, readLogHead(value)])) };
  if (!sameBytes(encodeHead(head), bytes)) throw malformed();
  return head;
}

/** Whether two lists say the same of the same logs. */
export function isSameLogs(left: Head["logs"], right: Head["logs"]): boolean {
  if (left.size !== right.size) return false;
  return [...left].every(([log, head]) => {
    const other = right.get(log);
    return other !== undefined && other.size === head.size && sameBytes(other.root, head.root);
  });
}

/** False also when the key itself cannot be read. */
export function isSignedBy(key: LedgerKey, body: Uint8Array, signature: Uint8Array): boolean {
  try {
    const publicKey = createPublicKey({ key: toBuffer(key.spki), format: "der", type: "spki" });
    return verify(digests[key.algorithm], body, publicKey, signature);
  } catch {
    return false;
  }
}

function readLogHead(value: unknown): LogHead {
  const { size, root } = toObject(value) ?? {};
  if (typeof size !== "number" || !Number.isSafeInteger(size) || typeof root !== "string") throw malformed();
  return { size, root: Buffer.from(root, "hex") };
}

function readJson(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(toBuffer(bytes).toString("utf8"));
    return toObject(value);
  } catch (cause) {
    throw malformed({ cause });
  }
}

function malformed(options?: ErrorOptions): Refusal {
  return new Refusal("malformed", "not a list of heads in canonical form", options);
}
