/** The issuer's gRPC services: who may call what, and nothing else. Agents by mTLS; operators by admit.ts. */
import { verify, X509Certificate } from "node:crypto";
import { digests } from "../custody/algorithm.ts";
import { Refusal } from "../errors.ts";
import { clusterOf, readSpiffeId } from "../identity.ts";
import type { CheckSignature, EntryFilter } from "../ledger/ledger.ts";
import { isUnder } from "../ledger/state.ts";
import { readCertificate } from "../pki/certificate.ts";
import { readSerial } from "../pki/serial.ts";
import type { AdminHandlers } from "../rpc/gen/espalier/v1/Admin.ts";
import type { IssuerHandlers } from "../rpc/gen/espalier/v1/Issuer.ts";
import type { ListEntriesRequest__Output } from "../rpc/gen/espalier/v1/ListEntriesRequest.ts";
import { type Caller, duplex, serverStream, unary } from "../rpc/server.ts";
import type { Stream } from "../rpc/stream.ts";
import { createJoinToken, createRoot, setSuspended } from "./admin.ts";
import { measureReach } from "./blast-radius.ts";
import { toAuthorities, toCluster, toEntry, toRoot, toTenant } from "./describe.ts";
import type { ExplainParts } from "./explain.ts";
import { answerQuestion } from "./explain-verb.ts";
import { type JoinParts, join } from "./join.ts";
import { approveKeys, listKeys, rejectKeys, removeKeys } from "./key-verbs.ts";
import { createOperator, type OperatorParts, revokeOperator, toOperator } from "./operators.ts";
import { bringRootCrl, listRevocations, revoke } from "./revoke.ts";
import { bringRoot, importFormer, takeAnswer } from "./root-verbs.ts";
import {
  continueRotation,
  holdRotation,
  listRotations,
  type RotationVerbParts,
  rollBackRotation,
  rotateRoot,
} from "./rotation-verbs.ts";
import { limitRuns, limitWork } from "./runs.ts";
import { openPlaces } from "./share.ts";
import { type AgentConnection, acceptSigning, lostRight, type SignParts, signOnce } from "./sign-stream.ts";
import { tellRefused } from "./tell-refused.ts";
import { acceptWatch, type WatchParts } from "./watch.ts";
import type { World } from "./world.ts";

const unaryDeadlineMs = 20_000;
const entriesDefault = 100;
/** Of one page. */
const entriesMax = 1_000;
/** A viewer may look, and nobody may make issuing wait for it. */
const verifyingMax = 2;
const listingMax = 8;
const explainingMax = 32;

export function issuerService(parts: SignParts & WatchParts & JoinParts): IssuerHandlers {
  const agentOf = (caller: Caller): AgentConnection => readAgent(caller, parts.live.world(), parts.now());
  const places = openPlaces();
  const told = (method: string, error: unknown, claimed = ""): Refusal =>
    tellRefused(error, { method, claimed }, parts);
  const accept =
    <Q, R>(method: string, go: (stream: Stream<Q, R>, agent: AgentConnection) => void) =>
    (stream: Stream<Q, R>, caller: Caller): void => {
      // Its connection was opened before the port was closed; nothing else would ever end it.
      if (parts.draining.aborted) throw new Refusal("unavailable", "the issuer is closing");
      try {
        const agent = agentOf(caller);
        const place = places.take(agent.cluster);
        stream.onEnd(() => place[Symbol.dispose]());
        go(stream, agent);
      } catch (error) {
        throw told(method, error);
      }
    };
  const answer =
    <Q, R>(method: string, go: (request: Q, caller: Caller) => Promise<R>, claim: (request: Q) => string = () => "") =>
    async (request: Q, caller: Caller): Promise<R> => {
      try {
        return await go(request, caller);
      } catch (error) {
        throw told(method, error, claim(request));
      }
    };
  return {
    Sign: duplex(accept("Sign", (stream, agent) => acceptSigning(stream, agent, parts))),
    SignOnce: unary(
      unaryDeadlineMs,
      answer("SignOnce", async (batch, caller) => await signOnce(batch, agentOf(caller), parts)),
    ),
    Watch: duplex(accept("Watch", (stream, agent) => acceptWatch(stream, agent, parts))),
    Join: unary(
      unaryDeadlineMs,
      answer(
        "Join",
        async (request) => await join(request, parts),
        (request) => request.cluster,
      ),
    ),
  };
}

/**
 * The cluster that an agent's certificate names. TLS has verified it under the hub root; what it may be is checked here: an
 * issuer's or a workload's certificate is nobody on this port.
 */
export function readAgent(caller: Caller, world: World, at: Date): AgentConnection {
  const der = caller.certificate();
  if (der === undefined)
    throw new Refusal("proof-missing", "no client certificate that the hub root has signed: join first");
  const { uris, dns, usages, notAfter, serial } = readCertificate(der);
  const [uri, ...rest] = uris;
  const cluster = uri === undefined ? undefined : clusterOf(world.hub, readSpiffeId(Buffer.from(uri, "latin1")));
  if (
    cluster === undefined ||
    rest.length > 0 ||
    dns.length > 0 ||
    !usages.includes("clientAuth") ||
    usages.includes("serverAuth")
  ) {
    throw new Refusal("not-this-caller", "the client certificate is no agent's");
  }
  const agent = { cluster, notAfter, serial: Buffer.from(serial).toString("hex") };
  const lost = lostRight(agent, world, at);
  if (lost !== undefined) throw lost;
  return agent;
}

/** Whether a recorded signature is by the authority its intent names. */
function checkSignatures({ authorities }: World): CheckSignature {
  const keys = new Map(
    authorities.records.map((r) => [
      r.id,
      { key: new X509Certificate(r.certificate).publicKey, digest: digests[r.algorithm] },
    ]),
  );
  return (authority, tbs, signature) => {
    const found = keys.get(authority);
    return found !== undefined && verify(found.digest, tbs, found.key, signature);
  };
}

export function adminService(
  parts: OperatorParts & RotationVerbParts & NonNullable<ExplainParts["made"]>,
): AdminHandlers {
  const { live, state, ledger } = parts;
  const verifications = limitRuns(verifyingMax, "verifications");
  const listings = limitRuns(listingMax, "listings");
  const explanations = limitWork(explainingMax, "explanations");
  const measurements = limitRuns(verifyingMax, "measurements of a blast radius");
  return {
    CreateRoot: unary(unaryDeadlineMs, async (request) => await createRoot(request, parts)),
    ListRoots: unary(unaryDeadlineMs, async () => {
      const records = live.world().authorities.records.filter((r) => !isUnder(r.kind));
      return { roots: records.map((r) => toRoot(r, false)) };
    }),
    BringRoot: unary(unaryDeadlineMs, async (request) => await bringRoot(request, parts)),
    ListAuthorities: unary(unaryDeadlineMs, async () => ({ authorities: [...toAuthorities(live.world())] })),
    TakeAuthority: unary(unaryDeadlineMs, async (request) => await takeAnswer(request, parts)),
    ImportAuthority: unary(unaryDeadlineMs, async (request) => await importFormer(request, parts)),
    RotateRoot: unary(unaryDeadlineMs, async (request) => await rotateRoot(request, parts)),
    ListRotations: unary(unaryDeadlineMs, async (request) => ({
      rotations: [...(await listRotations(request, parts))],
    })),
    HoldRotation: unary(unaryDeadlineMs, async (request) => await holdRotation(request, parts)),
    ContinueRotation: unary(unaryDeadlineMs, async (request) => await continueRotation(request, parts)),
    RollBackRotation: unary(unaryDeadlineMs, async (request) => await rollBackRotation(request, parts)),
    ListTenants: unary(unaryDeadlineMs, async () => {
      const world = live.world();
      return { tenants: [...world.declared.tenants.values()].map((t) => toTenant(t, world, parts.now())) };
    }),
    ListClusters: unary(unaryDeadlineMs, async () => {
      const world = live.world();
      const acknowledgements = await state.acknowledgements();
      return { clusters: [...world.declared.clusters.values()].map((c) => toCluster(c, world, acknowledgements)) };
    }),
    CreateJoinToken: unary(unaryDeadlineMs, async (request) => await createJoinToken(request, parts)),
    ListClusterKeys: unary(unaryDeadlineMs, async ({ cluster }) => await listKeys(cluster, parts)),
    ApproveClusterKeys: unary(unaryDeadlineMs, async (request) => await approveKeys(request, parts)),
    RejectClusterKeys: unary(unaryDeadlineMs, async (request) => await rejectKeys(request, parts)),
    RemoveClusterKeys: unary(unaryDeadlineMs, async (request) => await removeKeys(request, parts)),
    SetSuspended: unary(unaryDeadlineMs, async (request) => await setSuspended(request, parts)),
    ListEntries: serverStream((request) =>
      listings(async function* () {
        for await (const entry of ledger.entries(toFilter(request))) yield toEntry(entry, live.world());
      }),
    ),
    ShowEntry: unary(unaryDeadlineMs, async ({ id }) => {
      const entry = await ledger.entry(readSerial(id) ?? id);
      if (entry === undefined)
        throw new Refusal("not-found", `the ledger has no entry "${id}": give a serial in hex, or log/position`);
      return toEntry(entry, live.world());
    }),
    Revoke: serverStream((request) => revoke(request, parts)),
    ListRevocations: unary(unaryDeadlineMs, async ({ limit }) => await listRevocations(limit, parts)),
    BringCrl: unary(unaryDeadlineMs, async (request) => await bringRootCrl(request, parts)),
    BlastRadius: serverStream((request) => measurements(() => measureReach(request, parts))),
    CreateOperator: unary(unaryDeadlineMs, async (request) => await createOperator(request, parts)),
    ListOperators: unary(unaryDeadlineMs, async () => ({ operators: (await state.operators()).map(toOperator) })),
    RevokeOperator: unary(unaryDeadlineMs, async (request) => await revokeOperator(request, parts)),
    Explain: unary(
      unaryDeadlineMs,
      async (request) =>
        await explanations(() => answerQuestion(request, { ...parts, world: live.world(), made: parts })),
    ),
    VerifyLedger: serverStream(({ log }) =>
      verifications(async function* () {
        for await (const report of ledger.verify(log === "" ? undefined : log, checkSignatures(live.world()))) {
          yield { ...report, rootHash: Buffer.from(report.rootHash).toString("hex"), faults: [...report.faults] };
        }
      }),
    ),
  };
}

function toFilter({ log, identity, cluster, limit, unrecordedOnly, before }: ListEntriesRequest__Output): EntryFilter {
  if (!/^(?:[1-9][0-9]{0,14})?$/.test(before)) throw new Refusal("malformed", "before is no cursor of an entry");
  return {
    limit: Math.min(limit === 0 ? entriesDefault : limit, entriesMax),
    unrecordedOnly,
    ...(log === "" ? {} : { log }),
    ...(identity === "" ? {} : { identity }),
    ...(cluster === "" ? {} : { cluster }),
    ...(before === "" ? {} : { before: Number(before) }),
  };
}
