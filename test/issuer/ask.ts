/** What a stolen agent asks of an issuer, and what a refusal there must leave behind. */
import assert from "node:assert/strict";
import { isRefusalCode, Refusal, type RefusalCode } from "../../src/errors.ts";
import { openSignStream } from "../../src/rpc/client.ts";
import type { ObjectRequest } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";
import type { SignBatch } from "../../src/rpc/gen/espalier/v1/SignBatch.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies__Output } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import type { SignReply__Output } from "../../src/rpc/gen/espalier/v1/SignReply.ts";
import { readStatus } from "../../src/rpc/status.ts";
import type { Stream } from "../../src/rpc/stream.ts";
import { callMs, eventually } from "../support/patience.ts";
import type { Stack } from "../support/stack.ts";
import type { Thief } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { csrFor } from "../support/workload.ts";

/** One item refused: its reply, one line with the reference, one count, nothing in the ledger. */
export async function assertItemRefused(
  stack: Stack,
  reply: () => Promise<SignReply__Output>,
  code: RefusalCode,
  message?: RegExp,
): Promise<void> {
  const { issuer, site } = stack;
  const [lines, counts, entries] = [issuer.log.lines.length, await refusedCounts(issuer.metrics), site.entries()];
  const { issued, refused } = await reply();
  assert.ok(refused && !issued, "it was signed");
  assert.equal(refused.code, code, refused.message);
  if (message !== undefined) assert.match(refused.message, message);
  const told = issuer.log.lines.slice(lines).map(({ event, fields }) => [event, fields["code"], fields["reference"]]);
  assert.deepEqual(told, [["refused", code, refused.reference]]);
  assert.deepEqual(await refusedCounts(issuer.metrics), { ...counts, [code]: (counts[code] ?? 0) + 1 });
  assert.equal(site.entries(), entries);
}

/** A whole call refused: its status, one line, one count, nothing in the ledger. */
export async function assertCallRefused(stack: Stack, made: () => Promise<unknown>, code: RefusalCode): Promise<void> {
  const { issuer, site } = stack;
  const [lines, counts, entries] = [issuer.log.lines.length, await refusedCounts(issuer.metrics), site.entries()];
  await assert.rejects(made, { name: "Refusal", code });
  const told = issuer.log.lines.slice(lines).map(({ event, fields }) => [event, fields["code"]]);
  assert.deepEqual(told, [["refused", code]]);
  assert.deepEqual(await refusedCounts(issuer.metrics), { ...counts, [code]: (counts[code] ?? 0) + 1 });
  assert.equal(site.entries(), entries);
}

export function issued(reply: SignReply__Output): Uint8Array {
  assert.ok(reply.issued, `refused: ${reply.refused?.code}: ${reply.refused?.message}`);
  return reply.issued.leaf;
}

/** Items for objects, each with a UID of its own, that ask the tenant "shop" for an hour. */
export function askFor(base: ObjectRequest) {
  let uid = 0;
  return (csr: Uint8Array, more: ObjectRequest = {}) => ({
    csr,
    signer: "shop",
    validitySeconds: 3600,
    idempotencyKey: `uid-${(uid += 1)}`,
    request: { ...base, ...more },
  });
}

export interface SignStream extends Disposable {
  readonly stream: Stream<SignReplies__Output, SignBatch>;
  readonly replies: SignReplies__Output[];
  ask(item: Partial<SignItem>): Promise<SignReply__Output>;
  /** How it ended. */
  readonly ended: Promise<string>;
}

export function openStream({ client }: Thief): SignStream {
  const stream = openSignStream(client);
  const replies: SignReplies__Output[] = [];
  stream.onMessage((message) => void replies.push(message));
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  stream.onEnd((error) => resolve(error === undefined ? "" : readStatus(error).code));
  let id = 0;
  return {
    stream,
    replies,
    ended,
    ask: async (item) => {
      id += 1;
      const own = id;
      stream.write({ items: [{ csr: csrFor(), deadlineMs: callMs, ...item, id: own }] });
      return await eventually(() => {
        const found = replies.flatMap((r) => r.replies).find((r) => r.id === own);
        assert.ok(found, "no reply");
        return found;
      });
    },
    [Symbol.dispose]: () => stream.end(),
  };
}

/** Throws what a stream ended with. */
export async function streamEnd(ended: Promise<string>): Promise<void> {
  const code = await ended;
  if (isRefusalCode(code)) throw new Refusal(code, "the stream ended");
}
