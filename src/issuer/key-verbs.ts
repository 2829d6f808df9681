/** The operators' verbs for clusters' token keys: what there is, and what is approved, rejected and taken away. */
import { Refusal } from "../errors.ts";
import { hubLog } from "../ledger/ledger.ts";
import type { ApproveClusterKeysRequest__Output } from "../rpc/gen/espalier/v1/ApproveClusterKeysRequest.ts";
import type { ClusterKeys } from "../rpc/gen/espalier/v1/ClusterKeys.ts";
import type { ClusterKeysChange } from "../rpc/gen/espalier/v1/ClusterKeysChange.ts";
import type { RejectClusterKeysRequest__Output } from "../rpc/gen/espalier/v1/RejectClusterKeysRequest.ts";
import type { RemoveClusterKeysRequest__Output } from "../rpc/gen/espalier/v1/RemoveClusterKeysRequest.ts";
import type { Jwk } from "../token/jwk.ts";
import { type AdminParts, readBy, thumbprintGrammar } from "./admin.ts";
import { toStoredJwk } from "./cluster-keys.ts";
import { toText } from "./propose.ts";
import type { ClusterState } from "./world.ts";

/** @throws Refusal `not-found` for a cluster that is not declared and has left nothing behind. */
export async function listKeys(name: string, { live, state }: AdminParts): Promise<ClusterKeys> {
  const cluster = live.world().findCluster(name);
  const [registered, proposal] = await Promise.all([registeredOf(name, state), proposalOf(name, state)]);
  if (cluster === undefined && registered.size === 0 && proposal === undefined) throw notDeclared(name);
  const inForce = byThumbprint(cluster?.keys() ?? []);
  const proposed = byThumbprint((proposal?.keys ?? []).map(toStoredJwk));
  const { keys } = cluster?.tokens ?? {};
  const declared = byThumbprint(keys?.kind === "static" ? keys.keys : []);
  const all = new Map([...proposed, ...registered, ...declared, ...inForce]);
  return {
    cluster: name,
    source: keys?.kind ?? "",
    proposal: proposal?.state ?? "",
    proposedAt: proposal?.proposedAt.toISOString() ?? "",
    keys: [...all.values()].map(({ thumbprint, kid = "", key }) => ({
      thumbprint,
      kid,
      algorithm: toAlgorithm(key),
      inForce: inForce.has(thumbprint),
      registered: registered.has(thumbprint),
      proposed: proposed.has(thumbprint),
    })),
  };
}

/** The operator states all of the proposal's keys, so that none slips in between looking and approving. */
export async function approveKeys(
  request: ApproveClusterKeysRequest__Output,
  parts: AdminParts,
): Promise<ClusterKeysChange> {
  const by = readBy(request.act);
  const { live, state, log } = parts;
  const { cluster, thumbprints } = readNamed(request);
  const { keys } = find(cluster, parts).tokens;
  if (keys.kind !== "proposed") {
    throw new Refusal(
      "not-ready",
      `cluster "${cluster}" takes no proposals: its document would say keys: {proposed: approved}`,
    );
  }
  if (thumbprints.length === 0) throw new Refusal("malformed", "name the keys to approve: all of the proposal's");
  const [before, proposal] = await Promise.all([registeredOf(cluster, state), proposalOf(cluster, state)]);
  const added = thumbprints.filter((one) => !before.has(one));
  const removed = [...before.keys()].filter((one) => !thumbprints.includes(one));
  const change = { cluster, added, removed };
  if (proposal?.state !== "pending" && added.length + removed.length === 0) {
    // It may have been written before though whoever asked was told that it was not, and count here only now.
    await live.refresh();
    return { ...change, changed: false };
  }
  if (request.dryRun) {
    checkProposed(cluster, thumbprints, proposal?.keys.map(({ keyThumbprint }) => keyThumbprint) ?? []);
    return { ...change, changed: true };
  }
  // If we stop before this, the old keys are in force and the proposal waits; after it, the new ones count from the next start on.
  await state.approveKeys(cluster, thumbprints, {
    log: hubLog,
    verb: "approve-keys",
    ...by,
    details: { cluster, keyThumbprints: toText(thumbprints), added: toText(added), removed: toText(removed) },
  });
  await live.refresh();
  log.info("keys approved", { cluster, thumbprints: toText(thumbprints), operator: by.operator });
  return { ...change, changed: true };
}

export async function rejectKeys(
  { act, cluster }: RejectClusterKeysRequest__Output,
  parts: AdminParts,
): Promise<ClusterKeysChange> {
  const by = readBy(act);
  const { live, state, log } = parts;
  find(cluster, parts);
  const proposal = await proposalOf(cluster, state);
  const thumbprints = toText(proposal?.keys.map(({ keyThumbprint }) => keyThumbprint) ?? []);
  // Whatever stands between the two: nothing of a rejected proposal ever counted.
  const changed = await state.rejectKeys(cluster, {
    log: hubLog,
    verb: "reject-keys",
    ...by,
    details: { cluster, keyThumbprints: thumbprints },
  });
  await live.refresh();
  if (changed) log.info("keys rejected", { cluster, thumbprints, operator: by.operator });
  return { cluster, changed };
}

/** Also of a cluster that is declared no more: declared anew, it would have its keys again. */
export async function removeKeys(
  request: RemoveClusterKeysRequest__Output,
  parts: AdminParts,
): Promise<ClusterKeysChange> {
  const by = readBy(request.act);
  const { live, state, log } = parts;
  const { cluster, thumbprints } = readNamed(request);
  const { keys } = live.world().findCluster(cluster)?.tokens ?? {};
  const before = await registeredOf(cluster, state);
  // What a join once registered can go from these too.
  if (before.size === 0 && (keys?.kind === "static" || keys?.kind === "url")) {
    throw new Refusal(
      "not-ready",
      `cluster "${cluster}" declares its keys: change them in its document, or \`espalier cluster suspend ${cluster}\``,
    );
  }
  const removed = [...before.keys()].filter((one) => thumbprints.length === 0 || thumbprints.includes(one));
  if (request.dryRun) return { cluster, changed: removed.length > 0, removed };
  // From this write on no restart brings them back; they count until the next line.
  const changed = await state.removeKeys(cluster, thumbprints.length === 0 ? undefined : thumbprints, {
    log: hubLog,
    verb: "remove-keys",
    ...by,
    details: { cluster, keyThumbprints: thumbprints.length === 0 ? "all" : toText(thumbprints) },
  });
  if (!changed && keys === undefined && before.size === 0) throw notDeclared(cluster);
  await live.refresh();
  if (changed) log.info("keys removed", { cluster, thumbprints: toText(removed), operator: by.operator });
  return { cluster, changed, removed };
}

function readNamed({
  cluster,
  keyThumbprints,
}: {
  readonly cluster: string;
  readonly keyThumbprints: readonly string[];
}): {
  readonly cluster: string;
  readonly thumbprints: readonly string[];
} {
  const wrong = keyThumbprints.find((one) => !thumbprintGrammar.test(one));
  if (wrong !== undefined) {
    throw new Refusal(
      "malformed",
      `a key thumbprint is not RFC 7638 with SHA-256 in base64url, 43 characters: ${wrong.slice(0, 64)}`,
    );
  }
  return { cluster, thumbprints: [...new Set(keyThumbprints)] };
}

function checkProposed(cluster: string, stated: readonly string[], proposed: readonly string[]): void {
  if (toText(stated) === toText(proposed)) return;
  const those = proposed.length === 0 ? "no keys" : `other keys: ${toText(proposed)}`;
  throw new Refusal("not-ready", `cluster "${cluster}" proposes ${those}`);
}

async function registeredOf(name: string, state: AdminParts["state"]): Promise<ReadonlyMap<string, Jwk>> {
  const own = (await state.registeredKeys()).filter(({ cluster }) => cluster === name);
  return byThumbprint(own.map(toStoredJwk));
}

async function proposalOf(name: string, state: AdminParts["state"]) {
  return (await state.keyProposals()).find(({ cluster }) => cluster === name);
}

function find(name: string, { live }: AdminParts): ClusterState {
  const cluster = live.world().findCluster(name);
  if (cluster === undefined) throw notDeclared(name);
  return cluster;
}

function notDeclared(name: string): Refusal {
  return new Refusal("not-found", `no cluster "${name}" is declared: \`espalier cluster list\` shows what there is`);
}

function byThumbprint(keys: readonly Jwk[]): ReadonlyMap<string, Jwk> {
  return new Map(keys.map((key) => [key.thumbprint, key]));
}

function toAlgorithm({ asymmetricKeyDetails: details }: Jwk["key"]): string {
  const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384" };
  return curves[details?.namedCurve ?? ""] ?? `RSA-${details?.modulusLength}`;
}
