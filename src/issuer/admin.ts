/** The operators' verbs. Each that changes something writes an act with who and why; admit.ts says who may. */
import { createHash, randomBytes } from "node:crypto";
import { addRoot, type RootOrder, toHubOrder } from "../controller/root.ts";
import type { RootName } from "../controller/rotation.ts";
import { Refusal } from "../errors.ts";
import { workloadId } from "../identity.ts";
import { type Act, hubLog, type Ledger } from "../ledger/ledger.ts";
import type { Declared } from "../resources/declared.ts";
import type { Act__Output } from "../rpc/gen/espalier/v1/Act.ts";
import type { CreateJoinTokenRequest__Output } from "../rpc/gen/espalier/v1/CreateJoinTokenRequest.ts";
import type { CreateRootRequest__Output } from "../rpc/gen/espalier/v1/CreateRootRequest.ts";
import type { JoinToken } from "../rpc/gen/espalier/v1/JoinToken.ts";
import type { Root } from "../rpc/gen/espalier/v1/Root.ts";
import type { SetSuspendedRequest__Output } from "../rpc/gen/espalier/v1/SetSuspendedRequest.ts";
import type { Suspension } from "../rpc/gen/espalier/v1/Suspension.ts";
import { bringVerb, toRoot, wireKind } from "./describe.ts";
import type { LiveWorld } from "./live.ts";
import { type RenewParts, renewAuthorities } from "./renew.ts";

export interface AdminParts extends RenewParts {
  readonly live: LiveWorld;
  readonly ledger: Ledger;
}

const joinTokenSecondsMax = 7 * 86_400;
const joinTokenSecondsDefault = 3600;
/** RFC 7638 with SHA-256, base64url. */
export const thumbprintGrammar = /^[A-Za-z0-9_-]{43}$/;

export async function createRoot(request: CreateRootRequest__Output, parts: AdminParts): Promise<Root> {
  const by = readBy(request.act);
  const order = toRootOrder(readTarget(request, parts), parts);
  const records = await parts.state.authorities();
  const existing = records.find((r) => r.kind === order.kind && r.owner === order.owner && r.state === "active");
  // The same verb again finds what it made before, and finishes what came after it: safe to repeat after a lost answer.
  if (existing !== undefined) return await withAuthorities(toRoot(existing, false), parts);
  if (request.dryRun)
    return { name: order.owner, kind: wireKind(order.kind), state: "would be created", algorithm: order.algorithm };
  const record = await addRoot(order, by, parts);
  const made = await withAuthorities(toRoot(record, true), parts);
  parts.log.info("root created", { kind: order.kind, owner: order.owner, id: record.id, operator: by.operator });
  return made;
}

/** What stands under a root follows by itself. */
export async function withAuthorities<T>(made: T, parts: AdminParts): Promise<T> {
  try {
    await renewAuthorities(parts.live.world().declared, parts);
  } finally {
    await parts.live.refresh();
  }
  return made;
}

/** Of a request: which root it is about. */
export interface RootTarget {
  readonly target?: "trustRoot" | "servingOf" | "hub";
  readonly trustRoot?: string;
  readonly servingOf?: string;
}

/** @throws Refusal `malformed`. */
export function readTarget({ target, trustRoot, servingOf }: RootTarget, { live }: AdminParts): RootName {
  switch (target) {
    case "trustRoot":
      return { kind: "root", owner: trustRoot ?? "" };
    case "servingOf":
      return { kind: "serving", owner: servingOf ?? "" };
    case "hub":
      return { kind: "hub", owner: live.world().hub };
    default:
      throw new Refusal("malformed", "the request names no root");
  }
}

/** How it is made here. @throws Refusal `not-found`, `not-ready`. */
export function toRootOrder({ kind, owner }: RootName, { live }: AdminParts): RootOrder {
  const { declared } = live.world();
  switch (kind) {
    case "root": {
      const root = declared.roots.get(owner);
      if (root === undefined)
        throw new Refusal("not-found", `no TrustRoot "${owner}" is declared: write one into the resources first`);
      if (root.source !== "espalier")
        throw new Refusal(
          "not-ready",
          `TrustRoot "${owner}" has source ${root.source}: \`${bringVerb(owner, root.source)}\`; declared with source espalier, its next root is made here`,
        );
      return { kind, owner, algorithm: root.algorithm, validityDays: root.validityDays };
    }
    case "serving":
      if (!declared.clusters.has(owner))
        throw new Refusal("not-found", `no MeshCluster "${owner}" is declared: write one into the resources first`);
      return { kind, owner, algorithm: "P-256", validityDays: 3650 };
    case "hub":
      return toHubOrder(owner);
  }
}

export async function createJoinToken(request: CreateJoinTokenRequest__Output, parts: AdminParts): Promise<JoinToken> {
  const by = readBy(request.act);
  const { declared } = parts.live.world();
  const cluster = declared.clusters.get(request.cluster);
  if (cluster === undefined) throw new Refusal("not-found", `no MeshCluster "${request.cluster}" is declared`);
  if (cluster.tokens.keys.kind === "static" || cluster.tokens.keys.kind === "url") {
    throw new Refusal(
      "not-ready",
      `cluster "${cluster.name}" declares its keys and needs no join token (keys: {joined: true} or {proposed: approved} would)`,
    );
  }
  if (!thumbprintGrammar.test(request.keyThumbprint)) {
    throw new Refusal("malformed", "the key thumbprint is not RFC 7638 with SHA-256 in base64url, 43 characters");
  }
  const seconds = request.ttlSeconds === 0 ? joinTokenSecondsDefault : request.ttlSeconds;
  if (seconds > joinTokenSecondsMax)
    throw new Refusal("malformed", `a join token lives at most ${joinTokenSecondsMax} s`);
  const token = `esj_${randomBytes(32).toString("base64url")}`;
  const expiresAt = new Date(parts.now().getTime() + seconds * 1000);
  const { keyThumbprint } = request;
  // If we stop before this, nobody has the token; after it, the token is good and its holder may have to ask for another.
  await parts.state.addJoinToken(
    { tokenSha256: createHash("sha256").update(token).digest(), cluster: cluster.name, keyThumbprint, expiresAt },
    {
      log: hubLog,
      verb: "create-join-token",
      ...by,
      details: { cluster: cluster.name, keyThumbprint, expiresAt: expiresAt.toISOString() },
    },
  );
  parts.log.info("join token created", { cluster: cluster.name, operator: by.operator });
  return { token, cluster: cluster.name, expiresAt: expiresAt.toISOString() };
}

export async function setSuspended(request: SetSuspendedRequest__Output, parts: AdminParts): Promise<Suspension> {
  const by = readBy(request.act);
  const { kind, name, suspended } = request;
  const { declared } = parts.live.world();
  if (kind === "workload")
    return { ...request, changed: await setDenied(readWorkload(name, declared), suspended, by, parts) };
  if (kind !== "tenant" && kind !== "cluster")
    throw new Refusal("malformed", 'only a "tenant", a "cluster" or a "workload" can be suspended');
  const known = kind === "tenant" ? declared.tenants.has(name) : declared.clusters.has(name);
  if (!known) throw new Refusal("not-found", `no ${kind} "${name}" is declared`);
  const verb = `${suspended ? "suspend" : "resume"}-${kind}`;
  const log = kind === "tenant" ? name : hubLog;
  // From this write on every intend refuses it, on every replica.
  const changed = await parts.state.setSuspended({ kind, name }, suspended, { log, verb, ...by, details: { name } });
  await parts.live.refresh();
  if (changed) parts.log.info(verb, { name, operator: by.operator });
  return { kind, name, suspended, changed };
}

/** From `<tenant>/<namespace>/<service account>`. @throws Refusal `malformed`, or `not-found` for its tenant. */
export function readWorkload(name: string, { tenants }: Declared): DeniedWorkload {
  const [tenant = "", namespace = "", serviceAccount = "", ...rest] = name.split("/");
  const trustDomain = tenants.get(tenant)?.trustDomain;
  if (trustDomain === undefined) throw new Refusal("not-found", `no tenant "${tenant}" is declared`);
  if (rest.length > 0 || namespace === "" || serviceAccount === "")
    throw new Refusal("malformed", "a workload is named by its tenant, and <namespace>/<service account>");
  return { tenant, identity: workloadId({ trustDomain, namespace, serviceAccount }) };
}

export interface DeniedWorkload {
  readonly tenant: string;
  readonly identity: string;
}

/** False when it was so already. */
export async function setDenied(
  { tenant, identity }: DeniedWorkload,
  denied: boolean,
  by: Pick<Act, "operator" | "reason">,
  { state, live, log }: AdminParts,
): Promise<boolean> {
  const verb = denied ? "deny-workload" : "allow-workload";
  const act = { log: tenant, verb, ...by, details: { identity } };
  // From this write on every intend refuses it, or gives to it again, on every replica.
  const changed = await state.setSuspended({ kind: "workload", name: `${tenant}/${identity}` }, denied, act);
  await live.refresh();
  if (changed) log.info(verb, { tenant, identity, operator: by.operator });
  return changed;
}

export function readBy(act: Act__Output | null): Pick<Act, "operator" | "reason"> {
  if (act === null || act.operator === "")
    throw new Refusal("malformed", "an operator's verb says who: operator is missing");
  if (act.operator.length > 256 || act.reason.length > 1024)
    throw new Refusal("malformed", "operator or reason is too long (256 and 1024 characters)");
  // What admit.ts has made of it: no request says by itself who calls.
  if (!/^(?:unix|operator):/.test(act.operator)) throw new Error("a verb was called by nobody");
  return { operator: act.operator, reason: act.reason };
}
