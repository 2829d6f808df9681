/** Begins with resources that may not be there yet: their definitions come with something that is installed later. */
import type { Client } from "../kube/client.ts";
import { pause } from "../kube/pause.ts";
import { type Resource, toApiVersion } from "../kube/resource.ts";
import { servedVersion } from "../kube/served.ts";
import type { Log } from "../ops/log.ts";

/** Between looks; each is two small requests for a resource. */
const lookMs = 10_000;

/** `start` is called once, as soon as all of them are served; what it returns ends with this. */
export function startWhenServed(
  resources: readonly Resource[],
  start: () => AsyncDisposable,
  { client, log }: { readonly client: Client; readonly log: Log },
): AsyncDisposable {
  const stopping = new AbortController();
  let running: AsyncDisposable | undefined;
  let told = "";

  const missing = async (): Promise<readonly string[]> => {
    const found = await Promise.all(
      resources.map(async (one) => [one, await servedVersion(client, one, [one.version])] as const),
    );
    return found.flatMap(([one, served]) => (served === undefined ? [`${one.plural}.${toApiVersion(one)}`] : []));
  };

  const look = async (): Promise<void> => {
    const lacking = await missing();
    if (stopping.signal.aborted) return;
    if (lacking.length === 0) running = start();
    else if (told !== lacking.join()) {
      told = lacking.join();
      log.info("not served yet", { resources: told });
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      // An API server that is away has its own lines in the log: whatever else is watched there says so.
      await look().catch(() => undefined);
      if (running !== undefined) return;
      await pause(lookMs, stopping.signal);
    }
  };

  const done = run();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await done;
      await running?.[Symbol.asyncDispose]();
    },
  };
}
