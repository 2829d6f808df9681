/** The wire of `Sign`: batches in, replies out as they come, each item answered for itself. */
import { randomBytes } from "node:crypto";
import { Refusal, toRefusal } from "../errors.ts";
import type { Door } from "../ledger/ledger.ts";
import type { Log } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { SignBatch__Output } from "../rpc/gen/espalier/v1/SignBatch.ts";
import type { SignItem__Output } from "../rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies } from "../rpc/gen/espalier/v1/SignReplies.ts";
import type { SignReply } from "../rpc/gen/espalier/v1/SignReply.ts";
import type { Stream } from "../rpc/stream.ts";
import type { IssuedChain } from "./authorities.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Asked, Outcome, Shown } from "./item.ts";
import type { LiveWorld } from "./live.ts";
import { readObjectRequest } from "./object-request.ts";
import type { Shares } from "./share.ts";
import { tellRefused } from "./tell-refused.ts";
import type { World } from "./world.ts";

/** An agent's connection: which cluster it speaks for, and until when its certificate lets it. */
export interface AgentConnection {
  readonly cluster: string;
  /** Of its certificate, hex. */
  readonly serial: string;
  readonly notAfter: Date;
}

export interface SignParts {
  /** Set off when the issuer closes: what was read is answered, and then the stream ends. */
  readonly draining: AbortSignal;
  readonly dispatch: Dispatch;
  readonly shares: Shares;
  readonly live: Pick<LiveWorld, "world">;
  readonly now: () => Date;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Items of one stream that may be unanswered, or whose answer is not read; beyond it we stop reading, and the agent feels it. */
const itemsInFlightMax = 1024;
/** The longest an item waits here, whatever its agent says. */
const waitMsMax = 20_000;
const itemsPerBatchMax = 256;
/** It is kept in the ledger for good. Empty for none. */
const idempotencyKeyGrammar = /^[A-Za-z0-9._:/-]{0,253}$/;
/** More than any tenant's name has. */
const signerLengthMax = 253;

export function acceptSigning(
  stream: Stream<SignBatch__Output, SignReplies>,
  agent: AgentConnection,
  parts: SignParts,
): void {
  const { shares, draining } = parts;
  let inFlight = 0;
  let paused = false;
  /** For the share of its cluster. */
  let held = false;
  let ended = false;
  let ready: Answered[] = [];

  const flush = (): void => {
    const answers = ready;
    ready = [];
    if (ended || answers.length === 0) return;
    stream.write(toReplies(answers), () => {
      inFlight -= answers.length;
      if (draining.aborted) return drain();
      readOn();
    });
  };

  const readOn = (): void => {
    if (!paused || held || ended || draining.aborted || inFlight >= itemsInFlightMax / 2) return;
    paused = false;
    stream.resume();
  };
  const onRoom = (): void => {
    held = false;
    readOn();
  };

  stream.onMessage(({ items }) => {
    const refusal = checkBatch(items, agent, parts);
    // The agent comes back with the certificate it has by then; what waited on this stream goes with it.
    if (refusal !== undefined) {
      stream.pause();
      return stream.fail(tellRefused(refusal, { method: "Sign", cluster: agent.cluster }, parts));
    }
    inFlight += items.length;
    if (!shares.take(agent.cluster, items.length) && !held) {
      held = true;
      shares.hold(agent.cluster, onRoom);
    }
    if (!paused && (held || inFlight > itemsInFlightMax)) {
      paused = true;
      stream.pause();
    }
    signBatch(items, agent, parts, (answered) => {
      // What is answered in one turn goes out in one message.
      if (ready.push(answered) === 1) queueMicrotask(flush);
    });
  });
  const drain = (): void => {
    stream.pause();
    if (inFlight === 0) stream.end();
  };
  draining.addEventListener("abort", drain);
  stream.onEnd(() => {
    ended = true;
    shares.leave(agent.cluster, onRoom);
    draining.removeEventListener("abort", drain);
    stream.end();
  });
}

/** The unary form: all answers in one message. @throws Refusal when the batch cannot be taken at all. */
export async function signOnce(
  { items }: SignBatch__Output,
  agent: AgentConnection,
  parts: SignParts,
): Promise<SignReplies> {
  const refusal = checkBatch(items, agent, parts);
  if (refusal !== undefined) throw refusal;
  if (!parts.shares.take(agent.cluster, items.length)) {
    parts.shares.give(agent.cluster, items.length);
    throw new Refusal("overloaded", `cluster "${agent.cluster}" has as much unanswered as one may`);
  }
  return await new Promise((resolve) => {
    const answers: Answered[] = [];
    signBatch(items, agent, parts, (answered) => {
      if (answers.push(answered) === items.length) resolve(toReplies(answers));
    });
    if (items.length === 0) resolve({});
  });
}

interface Answered {
  readonly id: number;
  readonly outcome: Outcome;
  readonly reference: string;
}

function checkBatch(
  items: readonly SignItem__Output[],
  agent: AgentConnection,
  { live, now }: SignParts,
): Refusal | undefined {
  if (items.length > itemsPerBatchMax)
    return new Refusal("malformed", `a batch has more than ${itemsPerBatchMax} items`);
  return lostRight(agent, live.world(), now());
}

/** Why an agent that was let in is nobody any more. */
export function lostRight({ serial, notAfter }: AgentConnection, world: World, at: Date): Refusal | undefined {
  if (at > notAfter) return new Refusal("proof-invalid", "the agent's certificate has expired");
  return world.isRevoked(serial)
    ? new Refusal("proof-invalid", "the agent's certificate was revoked: it has to join again")
    : undefined;
}

function signBatch(
  items: readonly SignItem__Output[],
  agent: AgentConnection,
  parts: SignParts,
  answer: (answered: Answered) => void,
): void {
  const arrived = parts.now();
  for (const item of items) {
    const settle = (outcome: Outcome): void => {
      const reference = outcome.kind === "refused" ? randomBytes(6).toString("hex") : "";
      parts.shares.give(agent.cluster, 1);
      tell(outcome, reference, agent.cluster, arrived, parts);
      answer({ id: item.id, outcome, reference });
    };
    try {
      void parts.dispatch.dispatch(toAsked(item, arrived), agent.cluster).then(settle);
    } catch (error) {
      settle({ kind: "refused", refusal: toRefusal(error), tenant: "" });
    }
  }
}

function toAsked(item: SignItem__Output, arrived: Date): Asked {
  const waitMs = item.deadlineMs === 0 ? waitMsMax : Math.min(item.deadlineMs, waitMsMax);
  const proof = toShown(item);
  if (!idempotencyKeyGrammar.test(item.idempotencyKey))
    throw new Refusal("malformed", "the idempotency key is longer than 253 characters, or has others than a UID's");
  if (item.signer.length > signerLengthMax)
    throw new Refusal("malformed", `the signer is longer than ${signerLengthMax} characters`);
  return {
    door: doorOf(proof),
    csr: item.csr,
    validitySeconds: item.validitySeconds,
    signer: item.signer,
    deadline: new Date(arrived.getTime() + waitMs),
    idempotencyKey: item.idempotencyKey,
    proof,
  };
}

function doorOf(proof: Shown): Door {
  if (proof.kind === "request") return proof.request.door;
  return proof.kind === "serving" ? "own" : "istio";
}

function toShown(item: SignItem__Output): Shown {
  switch (item.proof) {
    case "token":
      return { kind: "token", token: item.token ?? "" };
    case "certificate":
      return { kind: "certificate", certificate: item.certificate ?? new Uint8Array() };
    case "impersonated":
      return {
        kind: "impersonated",
        token: item.impersonated?.token ?? "",
        identity: item.impersonated?.identity ?? "",
      };
    case "serving":
      return { kind: "serving" };
    case "request":
      // One object, one certificate, however often its agent asks.
      if (item.idempotencyKey === "") throw new Refusal("malformed", "an object's request has no idempotency key");
      return { kind: "request", request: readObjectRequest(item.request) };
    default:
      throw new Refusal("proof-missing", "the item shows no proof");
  }
}

function toReplies(answers: readonly Answered[]): SignReplies {
  const chains = new Map<IssuedChain, number>();
  const replies = answers.map(({ id, outcome, reference }): SignReply => {
    if (outcome.kind === "refused") {
      return { id, refused: { code: outcome.refusal.code, message: outcome.refusal.message, reference } };
    }
    const chain = chains.get(outcome.chain) ?? chains.size;
    chains.set(outcome.chain, chain);
    return { id, issued: { leaf: outcome.leaf, chain } };
  });
  return { replies, chains: [...chains.keys()].map(toWireChain) };
}

function toWireChain({ authority, intermediates, bundle }: IssuedChain): {
  authority: string;
  intermediates: Uint8Array[];
  bundle: Uint8Array[];
  bundleVersion: string;
} {
  return { authority, intermediates: [...intermediates], bundle: [...bundle.roots], bundleVersion: bundle.version };
}

/** One line and one count per decision. Whose rule it met is here and not in the reply. */
function tell(
  outcome: Outcome,
  reference: string,
  cluster: string,
  arrived: Date,
  { log, metrics, now }: SignParts,
): void {
  metrics.answered((now().getTime() - arrived.getTime()) / 1000);
  if (outcome.kind === "issued") {
    metrics.issued({ tenant: outcome.tenant, cluster, profile: outcome.profile });
    log.info("issued", { tenant: outcome.tenant, cluster, identity: outcome.identity, serial: outcome.serial });
    return;
  }
  const { code, message, cause } = outcome.refusal;
  metrics.refused({ code, tenant: outcome.tenant, cluster });
  if (code === "internal") log.error("refused", { reference, code, cluster, tenant: outcome.tenant }, outcome.refusal);
  else
    log.warn("refused", {
      reference,
      code,
      cluster,
      tenant: outcome.tenant,
      message,
      met: cause === undefined ? undefined : describe(cause),
    });
}

function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : JSON.stringify(cause);
}
