/** Keeps the world current: what is declared, what is made, and the clusters' keys. Readers take whole worlds, never parts. */
import type { Custody } from "../custody/signer.ts";
import type { FetchedKey, KeyProposal, State } from "../ledger/state.ts";
import type { Log } from "../ops/log.ts";
import type { Declared } from "../resources/declared.ts";
import type { MeshCluster } from "../resources/mesh-cluster.ts";
import type { Jwk } from "../token/jwk.ts";
import { type KeySet, startKeySet } from "../token/jwks-source.ts";
import { type Authorities, openAuthorities } from "./authorities.ts";
import { toClusterKeys, toStored, toStoredJwk } from "./cluster-keys.ts";
import { toWorld, type World } from "./world.ts";

export interface LiveWorld extends AsyncDisposable {
  world(): World;
  /** Takes newly declared documents in. */
  declare(declared: Declared): Promise<void>;
  /** Reads made state again: after every write to it. */
  refresh(): Promise<void>;
  /** Called after every change; returns what ends it. */
  onChange(changed: () => void): () => void;
}

export interface LiveParts {
  readonly hub: string;
  readonly declared: Declared;
  readonly state: State;
  readonly custody: Custody;
  readonly now: () => Date;
  readonly log: Log;
}

/** Hosted clusters rotate their keys and publish the next one ahead. */
const keysRefreshMs = 60_000;

export async function openLive(parts: LiveParts): Promise<LiveWorld> {
  const { state, custody, log } = parts;
  let declared = parts.declared;
  let authorities: Authorities | undefined;
  let current: World | undefined;
  let keptText: string | undefined;
  const fetched = new Map<string, { readonly url: string; readonly keys: KeySet }>();
  const listeners = new Set<() => void>();

  const build = async (): Promise<void> => {
    const [records, authorityRequests, suspensions, revokedOwn, crls, registered, proposals, kept] = await Promise.all([
      state.authorities(),
      state.authorityRequests(),
      state.suspensions(),
      state.revokedOwn(parts.now()),
      state.crls(),
      state.registeredKeys(),
      state.keyProposals(),
      state.fetchedKeys(),
    ]);
    authorities = await openAuthorities(records, custody, authorities);
    const keptBy = Map.groupBy(kept, ({ cluster }) => cluster);
    const keptOf = (cluster: string): readonly FetchedKey[] => {
      const source = declared.clusters.get(cluster)?.tokens.keys;
      return (keptBy.get(cluster) ?? []).filter(({ url }) => source?.kind === "url" && source.url === url);
    };
    const { keys, disputed } = toClusterKeys({
      clusters: declared.clusters.values(),
      registered,
      fetched: (cluster) => {
        const now = fetched.get(cluster)?.keys.keys() ?? [];
        return now.length > 0 ? now : keptOf(cluster).map(toStoredJwk);
      },
      held: (cluster) => new Set(keptOf(cluster).map(({ keyThumbprint }) => keyThumbprint)),
    });
    for (const { thumbprint, cluster, others } of disputed) {
      log.error("token key refused: it belongs to another cluster", { cluster, others, thumbprint });
    }
    await keep(keys, kept);
    const keysOf = (cluster: MeshCluster): readonly Jwk[] => keys.get(cluster.name) ?? [];
    const proposedOf = (cluster: MeshCluster): readonly Jwk[] => toPending(cluster, proposals);
    const made = { authorities, authorityRequests, suspensions, revokedOwn, crls };
    current = toWorld({ hub: parts.hub, declared, ...made, keysOf, proposedOf });
    for (const changed of listeners) changed();
  };

  /** Who had a fetched key first is known after a restart too, and which keys there were while an address is away. */
  const keep = async (keys: ReadonlyMap<string, readonly Jwk[]>, kept: readonly FetchedKey[]): Promise<void> => {
    const next = [...declared.clusters.values()].flatMap(({ name, tokens }) => {
      const source = tokens.keys;
      if (source.kind !== "url") return [];
      const own = new Map((keys.get(name) ?? []).map((key) => [key.thumbprint, key]));
      return [...own.values()].map((key) => ({ ...toStored(name, key), url: source.url }));
    });
    // What has not changed here is not written over what another replica has fetched meanwhile: the two would never end.
    if (toText(next) === keptText || toText(next) === toText(kept)) return;
    await state.keepFetchedKeys(next).then(
      () => {
        keptText = toText(next);
      },
      (error: unknown) => log.error("fetched keys not kept", {}, error),
    );
  };

  // One at a time and in order: a slow rebuild must not put an older world over a newer one.
  let last: Promise<void> = Promise.resolve();
  const rebuild = (): Promise<void> => {
    last = last.catch(() => {}).then(build);
    return last;
  };

  /** Starts and stops what fetches the keys of clusters that publish them. */
  const follow = async (): Promise<void> => {
    for (const [name, { url, keys }] of fetched) {
      const source = declared.clusters.get(name)?.tokens.keys;
      if (source?.kind === "url" && source.url === url) continue;
      fetched.delete(name);
      await keys[Symbol.asyncDispose]();
    }
    const missing = [...declared.clusters.values()].filter((c) => c.tokens.keys.kind === "url" && !fetched.has(c.name));
    await Promise.all(
      missing.map(async ({ name, tokens }) => {
        if (tokens.keys.kind === "url")
          fetched.set(name, { url: tokens.keys.url, keys: await fetchKeys(name, tokens.keys.url) });
      }),
    );
  };

  const fetchKeys = async (cluster: string, url: string): Promise<KeySet> =>
    await startKeySet(
      { kind: "url", url },
      {
        onFailure: (error) => log.error("cluster keys not fetched", { cluster, url }, error),
        onChange: () =>
          void rebuild().catch((error: unknown) => log.error("fetched keys not taken", { cluster }, error)),
        refreshMs: keysRefreshMs,
      },
    );

  const close = async (): Promise<void> => {
    for (const { keys } of fetched.values()) await keys[Symbol.asyncDispose]();
  };

  await follow();
  await rebuild().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    world: () => {
      if (current === undefined) throw new Error("the world is not built");
      return current;
    },
    declare: async (next) => {
      declared = next;
      await follow();
      await rebuild();
    },
    refresh: rebuild,
    onChange: (changed) => {
      listeners.add(changed);
      return () => void listeners.delete(changed);
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Of a cluster that takes proposals, what waits for an operator. */
function toPending({ name, tokens }: MeshCluster, proposals: readonly KeyProposal[]): readonly Jwk[] {
  const pending = proposals.find(({ cluster, state }) => cluster === name && state === "pending");
  return tokens.keys.kind === "proposed" ? (pending?.keys ?? []).map(toStoredJwk) : [];
}

function toText(keys: readonly FetchedKey[]): string {
  return keys
    .map(({ cluster, url, jwk }) => [cluster, url, jwk].join(" "))
    .sort()
    .join("\n");
}
