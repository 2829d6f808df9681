/** A directory of documents, looked at again and again: events get lost on network mounts and when links are swapped, and only make it sooner. */
import { type FSWatcher, watch } from "node:fs";
import { readFiles, stampOf } from "./load.ts";
import { digestOf, readDocuments } from "./read.ts";
import { type Snapshot, type Source, toRefused } from "./watch.ts";

export function directorySource(directory: string): Source {
  return {
    name: directory,
    snapshot: async (before) => await snapshot(directory, before),
    subscribe: (stir) => subscribe(directory, stir),
  };
}

/**
 * The files as they are now, or why they cannot be read, which is told like any other bad edit; undefined when they still bear
 * the stamp they had. The stamp is taken before they are read: a later write changes it again.
 */
async function snapshot(directory: string, before?: string): Promise<Snapshot | undefined> {
  try {
    const stamp = await stampOf(directory);
    if (stamp === before) return undefined;
    const files = await readFiles(directory);
    return { stamp, digest: digestOf(files), declare: (context) => readDocuments(files, context) };
  } catch (error) {
    const declare = () => {
      throw error;
    };
    return { digest: `unreadable: ${toRefused(directory, error).message}`, declare };
  }
}

function subscribe(directory: string, stir: () => void): () => void {
  try {
    const watcher: FSWatcher = watch(directory, stir);
    // Without events there is still the interval.
    watcher.on("error", () => watcher.close());
    return () => watcher.close();
  } catch {
    return () => {};
  }
}
