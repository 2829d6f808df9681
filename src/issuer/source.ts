/** Where the declared state comes from: a directory, or the API of a cluster, which is told as well what became of it. */
import { setTimeout as delay } from "node:timers/promises";
import { openClient } from "../kube/client.ts";
import { findCredentials } from "../kube/find-credentials.ts";
import type { NamesInUse, State } from "../ledger/state.ts";
import type { IssuerConfig } from "../ops/config.ts";
import type { Log } from "../ops/log.ts";
import type { Context, InUse } from "../resources/check.ts";
import type { Declared } from "../resources/declared.ts";
import { directorySource } from "../resources/directory-source.ts";
import { loadDirectory } from "../resources/load.ts";
import { digestOfObjects, type ResourceObject, readObjects, toPlace } from "../resources/objects.ts";
import { DocumentsRefused } from "../resources/problem.ts";
import { type Source, type WatchParts, watchSource } from "../resources/watch.ts";
import type { Standing } from "./decide-status.ts";
import { type KubeObjects, openKubeObjects } from "./kube-objects.ts";
import type { LiveWorld } from "./live.ts";
import { startStatus } from "./status.ts";

export interface DeclaredSource extends AsyncDisposable {
  /** What to begin with. From a directory it is refused if it is bad; an API's is waited for, since a restart would not mend it. */
  load(): Promise<Declared>;
  /** What it becomes, from `inForce` on. Disposing ends it. */
  follow(inForce: Declared, parts: WatchParts): AsyncDisposable;
  /** An API's objects have a status, which says what there is in this world. Disposing ends it. */
  show(live: Pick<LiveWorld, "world" | "onChange">): Disposable;
}

export interface SourceParts {
  readonly state: Pick<State, "namesInUse">;
  readonly now: () => Date;
  readonly log: Log;
  /** Whether this issuer is the one that writes for all. */
  readonly leads: () => boolean;
}

export async function openSource(config: IssuerConfig, parts: SourceParts): Promise<DeclaredSource> {
  const { hub, resources, kubernetes } = config;
  const context = async () => ({ hub, inUse: toInUse(await parts.state.namesInUse(parts.now())) });
  if (kubernetes !== undefined) return await openKubeSource(context, kubernetes.kubeconfig, parts);
  return {
    load: async () => await loadDirectory(resources, await context()),
    follow: (inForce, watching) => watchSource(directorySource(resources), { context, inForce }, watching),
    show: () => new DisposableStack(),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** How often it is looked whether what is there holds together by now. */
const retryMs = 1_000;

function toInUse(names: readonly NamesInUse[]): ReadonlyMap<string, InUse> {
  const inUse = new Map<string, InUse>();
  for (const { tenant, identity, lastEnd } of names) {
    const [, trustDomain] = /^spiffe:\/\/([^/]+)\//.exec(identity) ?? [];
    if (trustDomain === undefined) continue;
    const until = new Date(Math.max(+lastEnd, +(inUse.get(tenant)?.until ?? 0)));
    inUse.set(tenant, { trustDomain, until });
  }
  return inUse;
}

async function openKubeSource(
  context: () => Promise<Context>,
  kubeconfig: string | undefined,
  parts: SourceParts,
): Promise<DeclaredSource> {
  await using stack = new AsyncDisposableStack();
  const client = stack.use(openClient({ credentials: await findCredentials(kubeconfig) }));
  const objects = stack.use(openKubeObjects({ ...parts, client }));
  // What is in force and what is wrong with what is there, for the objects' status.
  let standing: Standing = { inForce: new Map(), problems: [], world: undefined };
  let judged: readonly ResourceObject[] = [];
  const status = stack.use(startStatus({ ...parts, client, objects, standing: () => standing }));
  const refused = ({ problems }: DocumentsRefused): void => {
    standing = { ...standing, problems };
    status.stir();
  };
  const taken = (): void => {
    standing = { ...standing, inForce: new Map(judged.map((object) => [toPlace(object), object])), problems: [] };
    status.stir();
  };
  const source = kubeSource(objects, (now) => {
    judged = now;
  });
  const opened = stack.move();
  return {
    load: async () => {
      await objects.synced;
      for (let told = ""; ; await delay(retryMs)) {
        try {
          const declared = (await source.snapshot())?.declare(await context());
          if (declared === undefined) continue;
          taken();
          return declared;
        } catch (error) {
          if (!(error instanceof DocumentsRefused)) throw error;
          if (error.message !== told)
            parts.log.error("resources refused, none are in force", { problems: error.message });
          told = error.message;
          refused(error);
        }
      }
    },
    follow: (inForce, { onChange, onRefused }) => {
      const watching = {
        onChange: async (next: Declared): Promise<void> => {
          await onChange(next);
          taken();
        },
        onRefused: (refusal: DocumentsRefused): void => {
          refused(refusal);
          onRefused(refusal);
        },
      };
      return watchSource(source, { context, inForce }, watching);
    },
    show: (live) => {
      const look = (): void => {
        standing = { ...standing, world: live.world() };
        status.stir();
      };
      look();
      const shown = new DisposableStack();
      shown.defer(live.onChange(look));
      return shown;
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

function kubeSource(objects: KubeObjects, onJudge: (objects: readonly ResourceObject[]) => void): Source {
  return {
    name: "the Kubernetes API",
    snapshot: async () => {
      const now = objects.list();
      const declare = (context: Context): Declared => {
        onJudge(now);
        return readObjects(now, context);
      };
      return { digest: digestOfObjects(now), declare };
    },
    subscribe: (stir) => {
      const subscription = objects.subscribe(stir);
      return () => subscription[Symbol.dispose]();
    },
  };
}
