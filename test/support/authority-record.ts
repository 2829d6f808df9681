/** Records of authorities as pure decisions see them: without a certificate behind them, at a time that stands still. */
import type { AuthorityRecord } from "../../src/ledger/state.ts";

export const hour = 3_600_000;
export const day = 24 * hour;
export const start: number = Date.parse("2026-01-01T00:00:00Z");
export const at = (ms: number): Date => new Date(start + ms);

/** The root `main-1` of TrustRoot `main`, made yesterday for ten years, but for what is said of it. */
export function rootRecord(overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return {
    id: "main-1",
    kind: "root",
    owner: "main",
    state: "active",
    algorithm: "P-256",
    keyName: overrides.id ?? "main-1",
    certificate: new Uint8Array(),
    notBefore: at(-day),
    notAfter: at(3650 * day),
    ...overrides,
  };
}
