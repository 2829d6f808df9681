/** The authorities that are loaded and may sign: their keys, their templates, and what stands above their leaves. */
import type { Custody, KeyAlgorithm, Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { type Bundle, toBundle } from "../ledger/bundle.ts";
import type { AuthorityKind, AuthorityRecord } from "../ledger/state.ts";
import { type Certificate, readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import { type LeafTemplate, toLeafTemplate } from "../pki/leaf.ts";
import type { ProfileName } from "../pki/profile.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";

/** What is handed out with a leaf. One snapshot: never a leaf of one generation with the chain of another. */
export interface IssuedChain {
  readonly authority: string;
  /** DER, from the leaf's issuer upwards, without the root. */
  readonly intermediates: readonly Uint8Array[];
  readonly bundle: Bundle;
}

export interface LiveAuthority {
  readonly record: AuthorityRecord;
  readonly certificate: Certificate;
  readonly signer: Signer;
  readonly templates: Readonly<Record<ProfileName, LeafTemplate>>;
  readonly chain: IssuedChain;
}

export interface Authorities {
  /** The one that signs for an owner now. */
  active(kind: AuthorityKind, owner: string): LiveAuthority | undefined;
  /** One that may still sign what was intended under it. */
  byId(id: string): LiveAuthority | undefined;
  /** What stands above the leaves of any authority that ever was. */
  above(id: string): { readonly algorithm: KeyAlgorithm; readonly chain: IssuedChain };
  /** What trusts a TrustRoot's leaves: every generation that is prepared, active or retiring. */
  bundleOf(kind: "hub" | "root" | "serving", owner: string): Bundle;
  readonly records: readonly AuthorityRecord[];
}

/** @throws Refusal when a key that the database names cannot be had, or is not the one of its certificate. */
export async function openAuthorities(
  records: readonly AuthorityRecord[],
  custody: Custody,
  known?: Authorities,
): Promise<Authorities> {
  const bundleOf: Authorities["bundleOf"] = (kind, owner) =>
    toBundle(records.filter((r) => r.kind === kind && r.owner === owner));
  const live = new Map<string, LiveAuthority>();
  for (const record of records) {
    // A root of workloads signs authorities only; it is opened for that, and never by a request.
    if (record.kind === "root" || !maySign(record)) continue;
    const before = known?.byId(record.id);
    const certificate = before?.certificate ?? readCertificate(record.certificate);
    const signer = before?.signer ?? (await openSigner(record, certificate, custody));
    const templates = before?.templates ?? toTemplates(record);
    live.set(record.id, { record, certificate, signer, templates, chain: toIssuedChain(record, records, bundleOf) });
  }
  const active = new Map(
    [...live.values()].filter((a) => a.record.state === "active").map((a) => [`${a.record.kind}/${a.record.owner}`, a]),
  );
  return {
    active: (kind, owner) => active.get(`${kind}/${owner}`),
    byId: (id) => live.get(id),
    above: (id) => {
      const record = records.find((r) => r.id === id);
      if (record === undefined) throw new Error(`the database has no authority ${id}`);
      return { algorithm: record.algorithm, chain: live.get(id)?.chain ?? toIssuedChain(record, records, bundleOf) };
    },
    bundleOf,
    records,
  };
}

/** Whoever can write rows could else have one authority sign in another's name. */
async function openSigner({ id, keyName }: AuthorityRecord, { spki }: Certificate, custody: Custody): Promise<Signer> {
  const signer = await custody.openKey(keyName);
  if (isSame(signer.spki, spki)) return signer;
  throw new Refusal(
    "config",
    `the key "${keyName}" is not that of the certificate of ${id}: restore what belongs together`,
  );
}

/** What its certificates hang on is the root of its authority: a tenant that was declared anew may name another. */
export function bundleOfTenant(
  { name, root }: Pick<MeshTenant, "name" | "root">,
  authorities: Pick<Authorities, "active" | "bundleOf">,
): Bundle {
  return authorities.active("tenant", name)?.chain.bundle ?? authorities.bundleOf("root", root);
}

/** Retiring ones still sign what was intended under them. */
function maySign(record: AuthorityRecord): boolean {
  return record.state === "active" || record.state === "retiring";
}

function toTemplates(record: AuthorityRecord): Readonly<Record<ProfileName, LeafTemplate>> {
  return {
    workload: toLeafTemplate(record, "workload"),
    serving: toLeafTemplate(record, "serving"),
    agent: toLeafTemplate(record, "agent"),
    operator: toLeafTemplate(record, "operator"),
    issuer: toLeafTemplate(record, "issuer"),
  };
}

function toIssuedChain(
  record: AuthorityRecord,
  records: readonly AuthorityRecord[],
  bundleOf: Authorities["bundleOf"],
): IssuedChain {
  if (record.kind === "hub" || record.kind === "serving") {
    return { authority: record.id, intermediates: [], bundle: bundleOf(record.kind, record.owner) };
  }
  const root = records.find((r) => r.id === record.parent);
  if (root === undefined) throw new Error(`authority ${record.id} has no parent in the database`);
  return { authority: record.id, intermediates: [record.certificate], bundle: bundleOf("root", root.owner) };
}
