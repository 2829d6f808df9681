/**
 * What this agent knows issuers by: the hub root of its configuration, and from then on what the hub itself has said, which is kept
 * with the cluster's trust. So a hub root is rotated without anybody's hand on the configuration, and whoever changes that is heard.
 */
import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Refusal } from "../errors.ts";
import type { AgentConfig } from "../ops/config.ts";
import { certificateLabel, readPemAll, toPemAll } from "../pki/pem.ts";

/** As it is kept. */
export interface KeptHubRoots {
  /** The first signs now. */
  readonly pem: string;
  /** Hex SHA-256 of each root that the configuration had when the hub said so. */
  readonly from: readonly string[];
}

export interface HubRoots {
  /** All that are trusted now. */
  pem(): string;
  /** What an issuer says, as it is to be kept; undefined where it says nothing. @throws Error where it names none that is trusted. */
  hear(roots: readonly Uint8Array[]): KeptHubRoots | undefined;
  /** Puts in force what was kept, unless the configuration has another hub's root since. Says whether that changed anything. */
  take(kept: KeptHubRoots | undefined): boolean;
  /** Whether the configuration has the root that signs now: an agent that loses what it keeps has nothing else. */
  isConfigured(): boolean;
}

export function openHubRoots(configuredPem: string): HubRoots {
  const configured = hashesOf(configuredPem);
  let inForce = configuredPem;
  return {
    pem: () => inForce,
    hear: (roots) => {
      if (roots.length === 0) return undefined;
      // OpenSSL passes over what it cannot read, and would then trust fewer.
      for (const root of roots) if (!new X509Certificate(root).ca) throw new Error("a hub root is no CA's certificate");
      const pem = toPemAll(certificateLabel, roots);
      // Whoever said it is known by one of ours: without any of them we would not reach it again.
      if (!overlap(hashesOf(pem), hashesOf(inForce)))
        throw new Error("the issuer names none of the hub roots that it is known by here");
      return { pem, from: configured };
    },
    take: (kept) => {
      // Another root in the configuration is an operator's word: it stands unless the hub has named that root itself.
      const holds = kept !== undefined && (isSameSet(kept.from, configured) || overlap(hashesOf(kept.pem), configured));
      if (!holds || kept.pem === inForce) return false;
      inForce = kept.pem;
      return true;
    },
    isConfigured: () => configured.includes(hashesOf(inForce)[0] ?? ""),
  };
}

/** PEM. The hash comes with the configuration, so that a swapped file is noticed. @throws Refusal `config`. */
export async function readHubRoots({ hubRoots, hubRootSha256 }: AgentConfig): Promise<string> {
  const pem = await readFile(hubRoots, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `hubRoots: cannot read ${hubRoots}`, { cause });
  });
  assertHubRoots(pem, hubRootSha256);
  return pem;
}

/** @throws Refusal `config` if it has another root than those that were told. */
export function assertHubRoots(pem: string, hubRootSha256: string | undefined): void {
  const hashes = hashesOf(pem);
  const told = hubRootSha256?.split(" ") ?? hashes;
  if (hashes.some((one) => !told.includes(one))) {
    throw new Refusal("config", "hubRootSha256: the hub root in hubRoots is another one");
  }
}

/** Whether a certificate, PEM, is by the root that signs now. */
export function isByFirst(chainPem: string, rootsPem: string): boolean {
  const [first] = readPemAll(rootsPem);
  return first !== undefined && new X509Certificate(chainPem).verify(new X509Certificate(first).publicKey);
}

export function hashesOf(pem: string): readonly string[] {
  return readPemAll(pem).map((root) => createHash("sha256").update(root).digest("hex"));
}

function overlap(some: readonly string[], others: readonly string[]): boolean {
  return some.some((one) => others.includes(one));
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  return [...some].sort().join() === [...others].sort().join();
}
