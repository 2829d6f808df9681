/** The hub root as the agent was told it. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Refusal } from "../errors.ts";
import type { AgentConfig } from "../ops/config.ts";
import { readPemAll } from "../pki/pem.ts";

/** PEM. The hash comes with the configuration, so that a swapped file is noticed. @throws Refusal `config`. */
export async function readHubRoots({ hubRoots, hubRootSha256 }: AgentConfig): Promise<string> {
  const pem = await readFile(hubRoots, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `hubRoots: cannot read ${hubRoots}`, { cause });
  });
  assertHubRoots(pem, hubRootSha256);
  return pem;
}

/** @throws Refusal `config` if it is another root than the one that was told. */
export function assertHubRoots(pem: string, hubRootSha256: string | undefined): void {
  const hashes = readPemAll(pem).map((root) => createHash("sha256").update(root).digest("hex"));
  if (hubRootSha256 !== undefined && (hashes.length !== 1 || hashes[0] !== hubRootSha256)) {
    throw new Refusal("config", "hubRootSha256: the hub root in hubRoots is another one");
  }
}
