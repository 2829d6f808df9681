/** From an object's request and its CSR to everything a leaf is made of. Policy decides; this only finds what it decided for. */
import { createHash } from "node:crypto";
import { Refusal } from "../errors.ts";
import { type NamedCsr, readNamedCsr } from "../pki/named-csr.ts";
import { spiffeIdOf } from "../pki/named-leaf.ts";
import { isNamedUsage, toLeafUsages } from "../pki/named-usage.ts";
import { decideRequest } from "../policy/decide-request.ts";
import { active, type Judged, toKey } from "./allowed.ts";
import type { Asked, ObjectRequest, Proven } from "./item.ts";
import type { World } from "./world.ts";

/** @throws Refusal: a code of policy, `malformed` for the CSR, or `unavailable` when what should sign cannot. */
export function judgeRequest(
  asked: Asked,
  { cluster, request }: Extract<Proven, { kind: "request" }>,
  world: World,
): Judged {
  const csr = readNamedCsr(asked.csr);
  const { namespace, usages } = request;
  const { attributes, der: subject } = csr.subject;
  const { names } = csr;
  const grant = decideRequest(
    world.table,
    {
      cluster,
      namespace,
      tenant: asked.signer,
      subject: attributes,
      names,
      usages,
      isCa: request.isCa || csr.isCa,
      validitySeconds: asked.validitySeconds,
    },
    servingNames(world),
  );
  checkUsages(csr, request);
  const { tenant: log, validitySeconds, rule, proof } = grant;
  if (world.isSuspended("tenant", log)) throw new Refusal("suspended", `certificates of tenant "${log}" are suspended`);
  const identity = spiffeIdOf(names);
  if (identity !== undefined && world.isSuspended("workload", `${log}/${identity}`))
    throw new Refusal("suspended", "this workload was denied by an operator");
  const allowed = {
    log,
    cluster,
    door: asked.door,
    profile: "request",
    leaf: { subject, names, usages: grant.usages },
    request: {
      object: request.object,
      issuer: request.issuer,
      username: request.username,
      groups: request.groups,
    },
    validitySeconds,
    rule,
    proof,
    authority: active(world, "tenant", log),
    idempotency: { key: toKey(asked, cluster), digest: digestOf(asked, request) },
  } as const;
  return { csr, allowed };
}

/** What the CSR says of them, if anything, is what the object says: one of the two was approved, and not the other. */
function checkUsages({ keyUsage, extended }: NamedCsr, { usages }: ObjectRequest): void {
  const asked = toLeafUsages(usages.filter(isNamedUsage));
  const differs = (inCsr: readonly string[] | undefined, stated: readonly string[]): boolean =>
    inCsr !== undefined && new Set(inCsr).symmetricDifference(new Set(stated)).size > 0;
  if (differs(keyUsage, asked.keyUsage) || differs(extended, asked.extended))
    throw new Refusal("malformed", `the CSR asks for other usages than the request (${usages.join(", ")})`);
}

function* servingNames({ declared }: World): Generator<string> {
  for (const cluster of declared.clusters.values()) yield* cluster.servingNames;
}

/** What must not differ between two requests of one key: everything that was asked, and who asked. */
function digestOf({ csr, signer, validitySeconds }: Asked, request: ObjectRequest): Uint8Array {
  const { namespace, object, issuer, username, groups, usages, isCa } = request;
  return createHash("sha256")
    .update(createHash("sha256").update(csr).digest())
    .update(JSON.stringify([signer, validitySeconds, namespace, object, issuer, username, groups, usages, isCa]))
    .digest();
}
