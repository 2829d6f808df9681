/** Takes the declared documents in as they change; a bad edit is told and changes nothing. */
import type { Declared } from "../resources/declared.ts";
import { toLine } from "../resources/problem.ts";
import type { LiveWorld } from "./live.ts";
import { type RenewParts, renewAuthorities } from "./renew.ts";
import type { DeclaredSource } from "./source.ts";

export interface FollowParts extends RenewParts {
  readonly live: Pick<LiveWorld, "declare">;
}

/** `declared` is what the process started with and has in force. */
export function followResources(
  source: Pick<DeclaredSource, "follow">,
  declared: Declared,
  parts: FollowParts,
): AsyncDisposable {
  const { live, log } = parts;
  tellWarnings(declared, log);
  const onChange = async (next: Declared): Promise<void> => {
    // As at the start: who cannot have an authority is told as not ready, and a suspension in the same edit holds at once.
    await renewAuthorities(next, parts).catch((error: unknown) => log.error("authorities not made", {}, error));
    await live.declare(next);
    tellWarnings(next, log);
    log.info("resources in force", { tenants: next.tenants.size, clusters: next.clusters.size });
  };
  const onRefused = (refusal: Error): void =>
    log.error("resources refused, the last good ones stay in force", { problems: refusal.message });
  return source.follow(declared, { onChange, onRefused });
}

function tellWarnings(declared: Declared, log: RenewParts["log"]): void {
  for (const warning of declared.warnings) log.warn("resources", { warning: toLine(warning) });
}
