/** What operators are shown: the world and the ledger, as the wire has them. */
import { createHash } from "node:crypto";
import type { StoredEntry } from "../ledger/ledger.ts";
import { type AcknowledgementRecord, type AuthorityRecord, type AuthorityRequest, isUnder } from "../ledger/state.ts";
import { readAuthorityCsr } from "../pki/authority-request.ts";
import { readCertificate } from "../pki/certificate.ts";
import { toCertificate } from "../pki/leaf.ts";
import { certificateLabel, crlLabel, toPem, toPemAll } from "../pki/pem.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import type { TrustRoot } from "../resources/trust-root.ts";
import type { Cluster } from "../rpc/gen/espalier/v1/Cluster.ts";
import type { Entry } from "../rpc/gen/espalier/v1/Entry.ts";
import type { Root } from "../rpc/gen/espalier/v1/Root.ts";
import type { Tenant } from "../rpc/gen/espalier/v1/Tenant.ts";
import type { TenantAuthority } from "../rpc/gen/espalier/v1/TenantAuthority.ts";
import { bundleOfTenant } from "./authorities.ts";
import { toNext } from "./renew.ts";
import { toCrls } from "./trust.ts";
import type { World } from "./world.ts";

export function toRoot(record: AuthorityRecord, created: boolean): Root {
  return {
    name: record.owner,
    kind: wireKind(record.kind),
    state: record.state,
    algorithm: record.algorithm,
    notBefore: record.notBefore.toISOString(),
    notAfter: record.notAfter.toISOString(),
    sha256: sha256(record.certificate),
    pem: toPem(certificateLabel, record.certificate),
    created,
  };
}

/** A root's kind as the wire has it. */
export function wireKind(kind: AuthorityRecord["kind"]): string {
  return kind === "root" ? "workload" : kind;
}

export function toTenant(tenant: MeshTenant, world: World, now: Date): Tenant {
  const bundle = bundleOfTenant(tenant, world.authorities);
  const authorities = world.authorities.records.filter((r) => r.kind === "tenant" && r.owner === tenant.name);
  return {
    name: tenant.name,
    trustDomain: tenant.trustDomain,
    root: tenant.root,
    suspended: world.isSuspended("tenant", tenant.name),
    authorities: authorities.map((r) => ({
      id: r.id,
      state: r.state,
      algorithm: r.algorithm,
      notBefore: r.notBefore.toISOString(),
      notAfter: r.notAfter.toISOString(),
      pem: toPem(certificateLabel, r.certificate),
    })),
    rules: tenant.rules.map((rule) => rule.name),
    bundleVersion: bundle.version,
    bundlePem: toPemAll(certificateLabel, bundle.roots),
    problem: tenantProblem(tenant, world),
    next: toNext(tenant, world, now, "tenant"),
    crlPem: crlsOf(tenant, world),
  };
}

function crlsOf({ crl, root }: MeshTenant, world: World): string {
  if (crl === undefined) return "";
  const crls = toCrls(new Set([root]), world).map((one) => one.crl);
  return toPemAll(crlLabel, crls);
}

/** What keeps it from certificates; empty when nothing does. */
export function tenantProblem(tenant: MeshTenant, world: World): string {
  if (world.authorities.active("tenant", tenant.name) !== undefined) return "";
  const isRoot = (r: AuthorityRecord): boolean => r.kind === "root" && r.owner === tenant.root && r.state === "active";
  if (world.authorityRequests.some((request) => request.tenant === tenant.name))
    return `its authority waits for a certificate: run \`espalier authority request ${tenant.name}\`, have it signed, and \`espalier authority take FILE\``;
  if (world.authorities.records.some(isRoot))
    return "it has no authority yet; what comes next of it (`espalier tenant show`) or the issuer's log says why";
  const root = world.declared.roots.get(tenant.root);
  return root === undefined ? `TrustRoot "${tenant.root}" is not declared` : rootProblem(root, world);
}

/** What keeps it from CA certificates; empty when nothing does. */
export function delegatingProblem(tenant: MeshTenant, world: World, now: Date): string {
  if (world.authorities.active("delegating", tenant.name) !== undefined) return "";
  return `the authority that signs its CA certificates: ${toNext(tenant, world, now, "delegating")}`;
}

/** What has to be done for it to be in force; empty when it is. */
export function rootProblem({ name, source }: TrustRoot, { authorities }: World): string {
  if (authorities.records.some((r) => r.kind === "root" && r.owner === name && r.state === "active")) return "";
  return source === "espalier"
    ? `TrustRoot "${name}" has not been made: run \`espalier root create ${name}\``
    : `TrustRoot "${name}" has not been brought: run \`${bringVerb(name, source)}\``;
}

export function bringVerb(name: string, source: "brought" | "offline"): string {
  return `espalier root bring ${name} --certificate FILE${source === "brought" ? " --key FILE" : ""}`;
}

/** Of all tenants, also of those that are declared no more. */
export function toAuthorities({ authorities, authorityRequests }: World): readonly TenantAuthority[] {
  const { records } = authorities;
  const ofTenants = records.filter(({ kind }) => isUnder(kind)).map((r) => toAuthority(r, records));
  return [...ofTenants, ...authorityRequests.map((request) => toWaiting(request, records))];
}

export function toAuthority(record: AuthorityRecord, records: readonly AuthorityRecord[]): TenantAuthority {
  return {
    tenant: record.owner,
    id: record.id,
    state: record.state,
    algorithm: record.algorithm,
    notBefore: record.notBefore.toISOString(),
    notAfter: record.notAfter.toISOString(),
    root: ownerOf(record.parent, records),
    pem: toPem(certificateLabel, record.certificate),
    keySha256: sha256(readCertificate(record.certificate).spki),
  };
}

function toWaiting(request: AuthorityRequest, records: readonly AuthorityRecord[]): TenantAuthority {
  const { tenant, id, algorithm, root, csr, requestedAt, validityDays } = request;
  return {
    tenant,
    id,
    state: "waiting",
    algorithm,
    root: ownerOf(root, records),
    pem: toPem("CERTIFICATE REQUEST", csr),
    requestedAt: requestedAt.toISOString(),
    validityDays,
    keySha256: sha256(readAuthorityCsr(csr).spki),
  };
}

function ownerOf(id: string | undefined, records: readonly AuthorityRecord[]): string {
  return records.find((r) => r.id === id)?.owner ?? "";
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function toCluster(
  cluster: MeshCluster,
  world: World,
  acknowledgements: readonly AcknowledgementRecord[],
): Cluster {
  return {
    name: cluster.name,
    suspended: world.isSuspended("cluster", cluster.name),
    tokenIssuer: cluster.tokens.issuer,
    keyThumbprints: keysOf(cluster.name, world),
    servingNames: [...cluster.servingNames],
    acknowledgements: acknowledgements
      .filter((a) => a.cluster === cluster.name)
      .sort((a, b) => b.inForceSince.getTime() - a.inForceSince.getTime())
      .map((a) => ({ agent: a.agent, version: a.version, inForceSince: a.inForceSince.toISOString() })),
    problem: clusterProblem(cluster, world),
    notice: clusterNotice(cluster.name, world),
  };
}

function clusterNotice(name: string, world: World): string {
  if ((world.findCluster(name)?.proposed().length ?? 0) === 0) return "";
  return `its agent proposes other keys: \`espalier cluster keys list ${name}\` shows them`;
}

/** What keeps its agent from working; empty when nothing does. */
export function clusterProblem({ name, tokens }: MeshCluster, world: World): string {
  if (world.authorities.active("serving", name) === undefined) {
    return `it has no serving root: run \`espalier root create --serving ${name}\``;
  }
  if (keysOf(name, world).length > 0) return "";
  return tokens.keys.kind === "url"
    ? "its keys have not been fetched yet"
    : `no key has been registered: run \`espalier cluster join-token ${name} --jwks FILE\``;
}

function keysOf(name: string, world: World): string[] {
  if (world.isSuspended("cluster", name)) return [];
  return world
    .cluster(name)
    .keys()
    .map(({ thumbprint }) => thumbprint);
}

/** An intent with its signature is its certificate. */
export function toEntry(entry: StoredEntry, world: World): Entry {
  const { id, log, position, kind, body, leafHash, serial, tbs, signature, authority, revocation } = entry;
  const record = world.authorities.records.find((r) => r.id === authority);
  const certificate =
    tbs === undefined || signature === undefined || record === undefined
      ? undefined
      : toCertificate(record.algorithm, tbs, signature);
  return {
    log,
    position: position?.toString() ?? "",
    cursor: String(id),
    kind,
    body,
    leafHash,
    serial: serial === undefined ? "" : Buffer.from(serial).toString("hex"),
    ...(certificate === undefined ? {} : { certificate }),
    ...(revocation && { revokedAt: revocation.at.toISOString(), revocationReason: revocation.reason }),
  };
}
