/** Takes the declared documents in as they change; a bad edit is told and changes nothing. */
import type { Declared } from "../resources/declared.ts";
import { toLine } from "../resources/problem.ts";
import { copySuspensions } from "./copy-suspensions.ts";
import type { LiveWorld } from "./live.ts";
import { type RenewParts, renewAuthorities } from "./renew.ts";
import type { DeclaredSource } from "./source.ts";

export interface FollowParts extends RenewParts {
  readonly live: Pick<LiveWorld, "declare">;
  /** Whether this issuer is the one that leads. */
  readonly leads: () => boolean;
}

export interface Following extends AsyncDisposable {
  /** Whether what is declared now is not what is in force. */
  refused(): boolean;
}

/** `declared` is what the process started with and has in force. */
export function followResources(
  source: Pick<DeclaredSource, "follow">,
  declared: Declared,
  parts: FollowParts,
): Following {
  const { live, log, leads } = parts;
  let refused = false;
  tellWarnings(declared, log);
  const onChange = async (next: Declared): Promise<void> => {
    refused = false;
    // As at the start: who cannot have an authority is told as not ready, and a suspension in the same edit holds at once.
    await renewAuthorities(next, parts).catch((error: unknown) => log.error("authorities not made", {}, error));
    const uncopied = (error: unknown): void => log.error("suspensions not copied", {}, error);
    if (leads()) await copySuspensions(next, parts).catch(uncopied);
    await live.declare(next);
    tellWarnings(next, log);
    log.info("resources in force", { tenants: next.tenants.size, clusters: next.clusters.size });
  };
  const onRefused = (refusal: Error): void => {
    refused = true;
    log.error("resources refused, the last good ones stay in force", { problems: refusal.message });
  };
  const following = source.follow(declared, { onChange, onRefused });
  return { refused: () => refused, [Symbol.asyncDispose]: async () => await following[Symbol.asyncDispose]() };
}

function tellWarnings(declared: Declared, log: RenewParts["log"]): void {
  for (const warning of declared.warnings) log.warn("resources", { warning: toLine(warning) });
}
