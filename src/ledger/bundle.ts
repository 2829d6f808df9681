/** The roots that are trusted together, and the version that they have together. */
import { createHash } from "node:crypto";
import type { AuthorityRecord } from "./state.ts";

/** Roots that workloads trust, in order, and a version that changes with them. */
export interface Bundle {
  readonly roots: readonly Uint8Array[];
  readonly version: string;
}

/** Of one owner's generations, those that are prepared, active or retiring. */
export function toTrusted(generations: readonly AuthorityRecord[]): readonly AuthorityRecord[] {
  const trusted = generations.filter((r) => r.state === "prepared" || r.state === "active" || r.state === "retiring");
  // The same order on every replica and after every restart: clients compare bundles byte for byte.
  return trusted.sort((a, b) => a.notBefore.getTime() - b.notBefore.getTime() || (a.id < b.id ? -1 : 1));
}

export function toBundle(generations: readonly AuthorityRecord[]): Bundle {
  const trusted = toTrusted(generations);
  const digest = createHash("sha256");
  for (const { certificate } of trusted) digest.update(certificate);
  return { roots: trusted.map((r) => r.certificate), version: digest.digest("hex").slice(0, 16) };
}
