/**
 * What the leak of a key would reach, from what is declared and from the ledger; asked before anybody revokes anything. It
 * changes nothing. The numbers are of certificates we have given: what a thief makes elsewhere is in no ledger.
 */
import { Refusal } from "../errors.ts";
import { hubLog, type LiveFilter, type LiveIntent } from "../ledger/ledger.ts";
import { type AuthorityRecord, isUnder } from "../ledger/state.ts";
import type { MeshTenant } from "../resources/mesh-tenant.ts";
import type { BlastRadiusRequest__Output } from "../rpc/gen/espalier/v1/BlastRadiusRequest.ts";
import type { Reach } from "../rpc/gen/espalier/v1/Reach.ts";
import type { ReachedTenant } from "../rpc/gen/espalier/v1/ReachedTenant.ts";
import type { AdminParts } from "./admin.ts";
import type { World } from "./world.ts";

/** What is to be looked up in the ledger, and what it means. */
interface Leak {
  readonly means: readonly string[];
  readonly mends: readonly string[];
  readonly filter: LiveFilter;
  /** Of what the filter finds, what this key or its holder has to do with. */
  readonly concerns: (intent: LiveIntent) => boolean;
  /** Tenants that a thief could forge, or be, whether they have certificates now or not. */
  readonly forgeable: readonly MeshTenant[];
  /** When what could be forged ends at the latest. */
  readonly until: Date | undefined;
}

/** Of one tenant; those beyond it are not told apart. */
const identitiesMax = 500_000;

interface Count {
  certificates: number;
  lastEnd: number;
  readonly identities: Set<string>;
}

/** @throws Refusal `malformed`, `not-found`. */
export async function* measureReach(request: BlastRadiusRequest__Output, parts: AdminParts): AsyncGenerator<Reach> {
  const world = parts.live.world();
  const leak = toLeak(request, world);
  const { records } = world.authorities;
  const delegating = new Set(records.flatMap(({ kind, id }) => (kind === "delegating" ? [id] : [])));
  const counts = new Map<string, Count>();
  const delegated: Delegated = { named: [], count: 0 };
  const clusters = new Set<string>();
  let looked = 0;
  for await (const step of parts.ledger.live(leak.filter, parts.now())) {
    looked += step.looked;
    for (const intent of step.intents) {
      if (intent.isRevoked || !leak.concerns(intent)) continue;
      count(intent, counts);
      if (delegating.has(intent.authority)) countDelegated(intent, delegated);
      if (intent.cluster !== "") clusters.add(intent.cluster);
    }
    yield { looked, done: false };
  }
  // A cluster's own keys reach no other cluster, whatever else its tenants have.
  if (request.kind === "cluster") clusters.add(request.name);
  else for (const tenant of leak.forgeable) for (const name of clustersOf(tenant, world)) clusters.add(name);
  const ends = [...counts.values()].map(({ lastEnd }) => lastEnd);
  const until = Math.max(...ends, leak.until === undefined ? 0 : +leak.until);
  yield {
    looked,
    means: [...leak.means, ...toLines(delegated)],
    tenants: toTenants(leak, counts, world),
    clusters: [...clusters].sort(),
    until: until > 0 ? new Date(until).toISOString() : "",
    mends: [...leak.mends],
    done: true,
  };
}

/** CA certificates that others hold. */
interface Delegated {
  readonly named: LiveIntent[];
  count: number;
}

/** All of them that are named one by one. */
const delegatedMax = 20;

function countDelegated(intent: LiveIntent, delegated: Delegated): void {
  delegated.count += 1;
  if (delegated.named.length < delegatedMax) delegated.named.push(intent);
}

/** What is signed with these is counted nowhere. */
function toLines({ named, count: all }: Delegated): readonly string[] {
  const lines = named.map(({ serial, identity, log, cluster, notAfter }) => {
    const hex = Buffer.from(serial).toString("hex");
    return `CA certificate ${hex} (${identity}), in cluster ${cluster} until ${notAfter.toISOString()}: its holder can be every workload of tenant ${log}, in no ledger`;
  });
  return all > named.length ? [...lines, `and ${all - named.length} more CA certificates`] : lines;
}

function count({ log, identity, notAfter }: LiveIntent, counts: Map<string, Count>): void {
  const found = counts.get(log) ?? { certificates: 0, lastEnd: 0, identities: new Set<string>() };
  counts.set(log, found);
  found.certificates += 1;
  found.lastEnd = Math.max(found.lastEnd, +notAfter);
  if (found.identities.size < identitiesMax) found.identities.add(identity);
}

function toTenants(leak: Leak, counts: ReadonlyMap<string, Count>, { declared }: World): ReachedTenant[] {
  const forgeable = new Set(leak.forgeable.map(({ name }) => name));
  return [...new Set([...forgeable, ...counts.keys()])].sort().map((name) => {
    const found = counts.get(name);
    const tenant = declared.tenants.get(name);
    return {
      tenant: name,
      trustDomain: tenant?.trustDomain ?? "",
      certificates: found?.certificates ?? 0,
      identities: found?.identities.size ?? 0,
      lastEnd: found === undefined ? "" : new Date(found.lastEnd).toISOString(),
      forgeable: forgeable.has(name),
      hasCrls: tenant?.crl !== undefined,
    };
  });
}

function toLeak({ kind, name }: BlastRadiusRequest__Output, world: World): Leak {
  switch (kind) {
    case "authority":
      return ofAuthority(name, world);
    case "root":
      return ofRoot(name, world);
    case "cluster":
      return ofCluster(name, world);
    case "tenant":
      return ofTenant(name, world);
    default:
      throw new Refusal("malformed", "name an authority, a root, a cluster or a tenant");
  }
}

function ofAuthority(id: string, world: World): Leak {
  const record = world.authorities.records.find((one) => one.id === id);
  if (record === undefined)
    throw new Refusal("not-found", `there is no authority "${id}": \`espalier tenant show\` has their names`);
  if (record.kind === "root") return ofRoot(record.owner, world);
  if (record.kind === "serving") return ofServing(record);
  if (record.kind === "hub") return ofHub(record);
  const root = world.authorities.records.find((one) => one.id === record.parent)?.owner ?? "";
  return {
    means: [
      `whoever has this key can make a certificate of any identity below: peers look at TrustRoot "${root}", which vouches for it, and not at the tenant`,
      "what they make is in no ledger; what is counted below is what we have made",
    ],
    mends: [
      `espalier revoke authority ${id}    # it signs nothing more here; a successor follows by itself`,
      ...replaceRoot(root),
    ],
    filter: { authority: id },
    concerns: () => true,
    forgeable: tenantsUnder(root, world),
    until: record.notAfter,
  };
}

function ofRoot(name: string, world: World): Leak {
  const records = world.authorities.records.filter((one) => one.kind === "root" && one.owner === name);
  if (records.length === 0 && !world.declared.roots.has(name))
    throw new Refusal("not-found", `no TrustRoot "${name}" is declared: \`espalier root list\` shows what there is`);
  const ids = new Set(records.map(({ id }) => id));
  const under = new Set(world.authorities.records.flatMap((one) => (ids.has(one.parent ?? "") ? [one.id] : [])));
  return {
    means: [
      "whoever has this key can make authorities, and with them a certificate of any identity below",
      "nothing that such an authority signs is in any ledger, and revoking our own authorities does not end it",
    ],
    mends: replaceRoot(name),
    filter: {},
    concerns: ({ authority }) => under.has(authority),
    forgeable: tenantsUnder(name, world),
    until: latest(records),
  };
}

function ofCluster(name: string, world: World): Leak {
  if (!world.declared.clusters.has(name))
    throw new Refusal("not-found", `no cluster "${name}" is declared: \`espalier cluster list\` shows what there is`);
  const tenants = [...world.declared.tenants.values()].filter((tenant) => clustersOf(tenant, world).includes(name));
  const rules = tenants.flatMap(({ name: tenant, rules: all }) =>
    all
      .filter(({ clusters }) => clusters.includes(name) || clusters.includes("*"))
      .map(({ name: rule, namespaces, serviceAccounts, proofs }) => {
        const who = `namespaces ${namespaces.join(", ")}, accounts ${serviceAccounts.join(", ")}`;
        return `${tenant}/${rule}: ${who}, by ${proofs.join(", ")}`;
      }),
  );
  return {
    means: [
      "whoever has its token-signing key can be every workload that these rules find there; whoever has its agent can use the tokens that come by",
      ...rules,
      "no other cluster's identities, and no other cluster's serving names",
    ],
    mends: [
      `espalier cluster suspend ${name}    # nothing new, at once; what is out stays`,
      `espalier revoke cluster ${name}     # that, and what its agents and workloads hold`,
      `new token-signing keys there, then espalier cluster keys list ${name}, and espalier cluster resume ${name}`,
    ],
    filter: { cluster: name },
    concerns: () => true,
    forgeable: tenants,
    until: undefined,
  };
}

function ofTenant(name: string, world: World): Leak {
  const tenant = world.declared.tenants.get(name);
  if (tenant === undefined)
    throw new Refusal("not-found", `no tenant "${name}" is declared: \`espalier tenant list\` shows what there is`);
  const own = world.authorities.records.filter((one) => isUnder(one.kind) && one.owner === name);
  const unended = own.filter(({ state }) => state !== "retired");
  const others = tenantsUnder(tenant.root, world).filter((one) => one !== tenant);
  const reached = others.map((one) => one.name).join(", ");
  return {
    means: [
      "whoever has all keys of its workloads is all of these identities until their certificates end; a VM's is renewed for as long as renewal.unboundDays says",
      others.length === 0
        ? `its authorities' keys reach nobody else: no other tenant is under TrustRoot "${tenant.root}"`
        : `its authorities' keys reach tenants ${reached} too, which are under TrustRoot "${tenant.root}" as it is: see espalier blast-radius authority`,
    ],
    mends: [
      `espalier tenant suspend ${name}    # nothing new, at once; what is out stays`,
      `espalier revoke workload ${name} <namespace>/<service account>    # one workload: nothing new, and what it holds`,
      ...unended.map(
        ({ id, state }) => `espalier revoke authority ${id}    # ${state}; its key, where that has leaked`,
      ),
      ...replaceRoot(tenant.root),
    ],
    filter: { log: name },
    concerns: () => true,
    forgeable: [tenant],
    until: undefined,
  };
}

function ofServing({ id, owner, notAfter }: AuthorityRecord): Leak {
  return {
    means: [`whoever has this key can pose as the agent and as istiod of cluster "${owner}", to that cluster alone`],
    mends: [`espalier root rotate --serving ${owner}`],
    filter: { authority: id },
    concerns: () => true,
    forgeable: [],
    until: notAfter,
  };
}

function ofHub({ id, notAfter }: AuthorityRecord): Leak {
  return {
    means: [
      "whoever has this key can pose as the issuer, or as any cluster's agent: still no certificate without a token that a cluster's keys have signed",
    ],
    mends: [
      "espalier root rotate --hub    # until every agent and operator has lost the old one, its holder can pose as the issuer to them",
    ],
    filter: { log: hubLog, authority: id },
    concerns: () => true,
    forgeable: [],
    until: notAfter,
  };
}

function replaceRoot(root: string): readonly string[] {
  return [
    `espalier root rotate ${root}    # until every workload has lost the root, peers take what the key signs; CRLs help against a stolen authority where every peer reads them, never against a stolen root`,
  ];
}

/** Whoever trusts this root takes whatever it vouches for. */
function tenantsUnder(root: string, { declared }: World): readonly MeshTenant[] {
  return [...declared.tenants.values()].filter((tenant) => tenant.root === root);
}

function clustersOf({ rules }: MeshTenant, { declared }: World): readonly string[] {
  const named = new Set(rules.flatMap(({ clusters }) => clusters));
  return named.has("*") ? [...declared.clusters.keys()] : [...named];
}

function latest(records: readonly AuthorityRecord[]): Date | undefined {
  return records.length === 0 ? undefined : new Date(Math.max(...records.map(({ notAfter }) => +notAfter)));
}
