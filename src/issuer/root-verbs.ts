/** The operators' verbs for roots and authorities that come from elsewhere: what is brought, what waits, and what answers it. */
import { createHash } from "node:crypto";
import type { By } from "../controller/generation.ts";
import { importAuthority, type Taken, takeAuthority } from "../controller/request.ts";
import { addRoot, checkMaterial, checkTurn, checkUnused, type RootMaterial } from "../controller/root.ts";
import { Refusal } from "../errors.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import { type Certificate, readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import type { TrustRoot } from "../resources/trust-root.ts";
import type { BringRootRequest__Output } from "../rpc/gen/espalier/v1/BringRootRequest.ts";
import type { BroughtRoot } from "../rpc/gen/espalier/v1/BroughtRoot.ts";
import type { ImportAuthorityRequest__Output } from "../rpc/gen/espalier/v1/ImportAuthorityRequest.ts";
import type { TakeAuthorityRequest__Output } from "../rpc/gen/espalier/v1/TakeAuthorityRequest.ts";
import type { TakenAuthority } from "../rpc/gen/espalier/v1/TakenAuthority.ts";
import { type AdminParts, readBy, withAuthorities } from "./admin.ts";
import { bringVerb, toAuthority, toRoot } from "./describe.ts";
import type { World } from "./world.ts";

/** How many tenants one warning names. */
const namedMax = 5;

/** The first generation of a root is active at once; another one is prepared beside it. */
export async function bringRoot(request: BringRootRequest__Output, parts: AdminParts): Promise<BroughtRoot> {
  const by = readBy(request.act);
  if (request.key.length > 0) checkNear(by);
  const world = parts.live.world();
  const root = world.declared.roots.get(request.trustRoot);
  if (root === undefined)
    throw new Refusal(
      "not-found",
      `no TrustRoot "${request.trustRoot}" is declared: write one into the resources first`,
    );
  const material = toMaterial(root, request);
  const records = await parts.state.authorities();
  const known = findKnown(readCertificate(request.certificate), root.name, records);
  if (known !== undefined) {
    await follow(parts);
    return { root: toRoot(known, false), warnings: [] };
  }
  const { certificate, algorithm, warnings: own } = checkMaterial(material, parts);
  const warnings = [...own, ...tooShort(certificate, root.name, world, parts.now())];
  const isActive = (r: AuthorityRecord): boolean => r.kind === "root" && r.owner === root.name && r.state === "active";
  const state = records.some(isActive) ? "prepared" : "active";
  checkTurn({ kind: "root", owner: root.name }, state, records);
  if (request.dryRun) {
    const { notBefore, notAfter } = certificate;
    const times = { notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString() };
    const sha256 = createHash("sha256").update(certificate.der).digest("hex");
    const seen = { name: root.name, kind: "workload", algorithm, sha256, ...times };
    return { root: { ...seen, state: `would be ${state}` }, warnings: [...warnings] };
  }
  const order = { kind: "root", owner: root.name, algorithm, validityDays: root.validityDays } as const;
  const record = await addRoot(order, by, parts, { material, state });
  parts.log.info("root brought", { owner: root.name, id: record.id, key: material.kind, state, operator: by.operator });
  await follow(parts);
  return { root: toRoot(record, true), warnings };
}

export async function takeAnswer(request: TakeAuthorityRequest__Output, parts: AdminParts): Promise<TakenAuthority> {
  const by = readBy(request.act);
  const { certificate, dryRun } = request;
  const { tenants } = parts.live.world().declared;
  const taken = await takeAuthority(certificate, by, { ...parts, tenants, dryRun });
  const { owner, id } = taken.record;
  if (taken.changed && !dryRun)
    parts.log.info("authority taken", { tenant: owner, authority: id, operator: by.operator });
  return await toTaken(taken, dryRun, parts);
}

export async function importFormer(
  request: ImportAuthorityRequest__Output,
  parts: AdminParts,
): Promise<TakenAuthority> {
  const by = readBy(request.act);
  checkNear(by);
  const { certificate, key, dryRun } = request;
  const { tenants } = parts.live.world().declared;
  const tenant = tenants.get(request.tenant);
  if (tenant === undefined) throw new Refusal("not-found", `no tenant "${request.tenant}" is declared`);
  const taken = await importAuthority({ tenant, certificate, key }, by, { ...parts, tenants, dryRun });
  const { owner, id } = taken.record;
  if (taken.changed && !dryRun)
    parts.log.info("authority imported", { tenant: owner, authority: id, operator: by.operator });
  return await toTaken(taken, dryRun, parts);
}

/** A CA key that came from elsewhere has been on a network: whoever sends one so is told to think of it as known. */
function checkNear({ operator }: By): void {
  if (operator.startsWith("unix:")) return;
  throw new Refusal(
    "not-this-caller",
    "a private key is taken by the socket on the issuer's own machine alone; this one was sent over a network: make another",
  );
}

/** What was taken signs at once where nothing else does. */
async function toTaken(
  { record, warnings, changed }: Taken,
  dryRun: boolean,
  parts: AdminParts,
): Promise<TakenAuthority> {
  if (!dryRun) await follow(parts);
  const { records } = parts.live.world().authorities;
  const now = records.find(({ id }) => id === record.id) ?? record;
  return { authority: toAuthority(now, records), changed, warnings: [...warnings] };
}

/** What stands under it follows by itself; the verb is done, whatever keeps a tenant from its authority. */
async function follow(parts: AdminParts): Promise<void> {
  await withAuthorities(undefined, parts).catch((error: unknown) => parts.log.error("authorities not made", {}, error));
}

function toMaterial(
  { name, source }: TrustRoot,
  { certificate, key }: BringRootRequest__Output,
): Exclude<RootMaterial, { kind: "made" }> {
  if (source === "espalier")
    throw new Refusal(
      "not-ready",
      `TrustRoot "${name}" has source espalier, and is made by \`espalier root create ${name}\`: declare it as brought or offline`,
    );
  const given = key.length > 0;
  if (given !== (source === "brought"))
    throw new Refusal("not-ready", `TrustRoot "${name}" has source ${source}: \`${bringVerb(name, source)}\``);
  return given ? { kind: "brought", certificate, key } : { kind: "offline", certificate };
}

/** One root is one TrustRoot's: tenants with roots of their own rely on it. */
function findKnown(root: Certificate, name: string, records: readonly AuthorityRecord[]): AuthorityRecord | undefined {
  const isOwn = ({ kind, owner }: AuthorityRecord): boolean => kind === "root" && owner === name;
  checkUnused(
    root,
    records.filter((record) => !isOwn(record)),
  );
  return records.find((record) => isOwn(record) && isSame(record.certificate, root.der));
}

function tooShort({ notAfter }: Certificate, name: string, { declared }: World, now: Date): readonly string[] {
  const tenants = [...declared.tenants.values()].filter(
    ({ root, authority }) => root === name && +now + authority.validityDays * 86_400_000 > +notAfter,
  );
  if (tenants.length === 0) return [];
  const named = tenants.slice(0, namedMax).map((tenant) => `"${tenant.name}"`);
  const more = tenants.length > namedMax ? ` and ${tenants.length - namedMax} more` : "";
  return [
    `it ends ${notAfter.toISOString()}, before an authority of MeshTenant ${named.join(", ")}${more} would: they end with it`,
  ];
}
