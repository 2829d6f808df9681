/** One kind of object that tokens are bound to: known from an informer, and asked for where that does not know or is too old. */
import { Refusal } from "../errors.ts";
import { isNotFound } from "../kube/api-error.ts";
import type { Client } from "../kube/client.ts";
import type { Informer } from "../kube/informer.ts";
import type { Meta } from "../kube/meta.ts";
import { getObject } from "../kube/objects.ts";
import type { Resource } from "../kube/resource.ts";
import type { Bound } from "../token/account.ts";
import { openFlights } from "./flights.ts";

export interface Finder<T> {
  /** The very object a token is bound to. @throws Refusal `proof-invalid` when it is gone, `unavailable` when nobody can say. */
  find(bound: Bound, namespace?: string): Promise<T>;
}

export interface FinderConfig<T> {
  readonly resource: Resource;
  readonly read: (object: unknown) => T;
  /** What is known without asking; undefined too when that is too old to count. */
  readonly known: (name: string, namespace: string) => T | undefined;
}

/** Within what a workload waits for, and still long enough for a busy API server. */
export const lookupDeadlineMs = 3_000;

export function openFinder<T extends Meta>({ resource, read, known }: FinderConfig<T>, client: Client): Finder<T> {
  const flights = openFlights<T | undefined>();

  const look = async (name: string, namespace: string | undefined): Promise<T | undefined> => {
    const one = namespace === undefined ? { name } : { namespace, name };
    try {
      return read(await getObject(client, resource, one, { deadlineMs: lookupDeadlineMs }));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      // Ours, not the caller's: what is unknown while the API server is away is never UNAUTHENTICATED.
      throw new Refusal("unavailable", `the Kubernetes API cannot be asked about a ${resource.kind}`, { cause: error });
    }
  };

  return {
    find: async ({ name, uid }, namespace) => {
      const before = known(name, namespace ?? "");
      if (before?.uid === uid) return before;
      const now = await flights.share(`${namespace ?? ""}/${name}`, async () => await look(name, namespace));
      if (now === undefined) throw gone(`the ${resource.kind} it is bound to does not exist`);
      if (now.uid !== uid) throw gone(`the ${resource.kind} it is bound to has been replaced by another of its name`);
      return now;
    },
  };
}

/** What an informer knows, as long as it is no older than this. */
export function knownTo<T extends Meta, Name extends string>(
  informer: Informer<T, Name>,
  { now, stalenessMs }: { readonly now: () => Date; readonly stalenessMs: number },
): { isFresh(): boolean; known(name: string, namespace: string): T | undefined } {
  const isFresh = (): boolean => {
    const fresh = informer.freshness();
    return fresh !== undefined && now().getTime() - fresh.getTime() <= stalenessMs;
  };
  return { isFresh, known: (name, namespace) => (isFresh() ? informer.get(name, namespace) : undefined) };
}

export function gone(why: string): Refusal {
  return new Refusal("proof-invalid", `the token is refused: ${why}`);
}
