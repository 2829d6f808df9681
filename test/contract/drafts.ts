/** Builders of drafts, acts and authorities, for every test that needs a ledger. */
import { hash, randomBytes } from "node:crypto";
import type { Act, Draft } from "../../src/ledger/ledger.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";

export function sha256(text: string): Uint8Array {
  return hash("sha256", text, "buffer");
}

/** A draft with a serial of its own; its TBS begins as a TBSCertificate does and goes on with noise. */
export function draft(overrides: Partial<Draft> = {}): Draft {
  const serial = overrides.serial ?? randomSerial();
  return {
    log: "shop",
    cluster: "east",
    door: "istio",
    profile: "workload",
    authority: "tenant/shop/1",
    bundleVersion: "b1",
    serial,
    identity: "spiffe://shop.example/ns/cart/sa/web",
    rule: "shop/all",
    proof: "token",
    tokenSha256: sha256("token"),
    keySha256: sha256("key"),
    notBefore: new Date("2026-11-21T11:00:00Z"),
    notAfter: new Date("2026-11-22T11:02:00Z"),
    tbs: tbsOf(serial),
    ...overrides,
  };
}

export function act(overrides: Partial<Act> = {}): Act {
  return { log: "@hub", verb: "suspend", operator: "unix:ada", reason: "a test", details: { why: "so" }, ...overrides };
}

/** The one that has signed what `draft` makes. */
export function authority(overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return {
    id: "tenant/shop/1",
    kind: "tenant",
    owner: "shop",
    state: "active",
    algorithm: "P-256",
    keyName: "shop-1",
    certificate: sha256("certificate"),
    parent: "root-1",
    notBefore: new Date("2026-11-21T11:00:00.123Z"),
    notAfter: new Date("2026-11-22T11:00:00Z"),
    ...overrides,
  };
}

export function tbsOf(serial: Uint8Array, bytes = 400): Uint8Array {
  const content = Buffer.concat([Buffer.from([0xa0, 3, 2, 1, 2, 2, serial.length]), serial, Buffer.alloc(bytes, 0x55)]);
  return Buffer.concat([Buffer.from([0x30, 0x82, content.length >> 8, content.length & 255]), content]);
}

function randomSerial(): Uint8Array {
  const serial = randomBytes(16);
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f);
  return serial;
}
