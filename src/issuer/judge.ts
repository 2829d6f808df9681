/** From a proven caller and its CSR to everything a leaf is made of. Policy decides; this only finds what it decided for. */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { hubLog, type Idempotency } from "../ledger/ledger.ts";
import { type Csr, readCsr } from "../pki/csr.ts";
import { decide } from "../policy/decide.ts";
import { decideServing } from "../policy/serving.ts";
import { type Allowed, active, type Judged, toKey } from "./allowed.ts";
import type { Admitted, Asked, Proven } from "./item.ts";
import { judgeRequest } from "./judge-request.ts";
import type { World } from "./world.ts";

/** How long serving certificates of agents live. They are renewed at half of it. */
const servingSeconds = 7 * 86_400;

/** @throws Refusal: a code of policy, one about the CSR, or `unavailable` when what should sign cannot. */
export function judge({ asked, cluster, proven }: Admitted, world: World): Judged {
  // It was in force when the caller was proven; since then the request may have waited.
  world.cluster(cluster);
  if (proven.kind === "request") return judgeRequest(asked, proven, world);
  const csr = readCsr(asked.csr);
  switch (proven.kind) {
    case "workload":
      return { csr, allowed: judgeWorkload(asked, proven, csr, world) };
    case "agent":
      return { csr, allowed: judgeServing(asked, cluster, world) };
  }
}

function judgeWorkload(asked: Asked, proven: Extract<Proven, { kind: "workload" }>, csr: Csr, world: World): Allowed {
  if (csr.identity === undefined) throw new Refusal("malformed", "the CSR names no identity: it has no URI SAN");
  if (asked.proof.kind === "impersonated" && asked.proof.identity !== csr.identity) {
    throw new Refusal("impersonation-refused", "the impersonated identity is not the CSR's");
  }
  const grant = decide(world.table, {
    workload: proven.workload,
    profile: "workload",
    requestedIdentity: csr.identity,
    validitySeconds: asked.validitySeconds,
    ...(asked.signer === "" ? {} : { requestedSigner: asked.signer }),
  });
  if (world.isSuspended("tenant", grant.tenant))
    throw new Refusal("suspended", "the tenant of this workload is suspended");
  if (world.isSuspended("workload", `${grant.tenant}/${grant.identity}`))
    throw new Refusal("suspended", "this workload was denied by an operator");
  const { workload } = proven;
  return {
    log: grant.tenant,
    cluster: workload.cluster,
    door: asked.door,
    profile: grant.profile,
    names: { uri: grant.identity, dns: [] },
    validitySeconds: grant.validitySeconds,
    rule: grant.rule,
    proof: grant.proof,
    authority: active(world, "tenant", grant.tenant),
    ...(proven.tokenSha256 === undefined ? {} : { tokenSha256: proven.tokenSha256 }),
    ...(proven.renewableSince === undefined ? {} : { renewableSince: proven.renewableSince }),
    ...toIdempotency(asked, workload.cluster, csr),
  };
}

/** An agent's serving certificate: the names its MeshCluster lists, all of them and no others, whatever it asks. */
function judgeServing(asked: Asked, cluster: string, world: World): Allowed {
  const declared = world.declared.clusters.get(cluster);
  if (declared === undefined) throw new Refusal("not-this-caller", `cluster "${cluster}" is not declared`);
  return {
    log: hubLog,
    cluster,
    door: asked.door,
    profile: "serving",
    names: { dns: decideServing(declared) },
    validitySeconds: servingSeconds,
    rule: `@hub/serving/${cluster}`,
    proof: "agent",
    authority: active(world, "serving", cluster),
  };
}

/** What must not differ between two requests of one key: the public key, the names, the usages and the duration asked for. */
function toIdempotency(asked: Asked, cluster: string, csr: Csr): { readonly idempotency?: Idempotency } {
  if (asked.idempotencyKey === "") return {};
  const digest = createHash("sha256")
    .update(csr.spki)
    .update(JSON.stringify([csr.identity, asked.signer, asked.validitySeconds]))
    .digest();
  return { idempotency: { key: toKey(asked, cluster), digest } };
}
