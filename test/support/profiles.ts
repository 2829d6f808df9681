/**
 * Writes a certificate, its intermediate and root for every profile and authority algorithm, for outside judges (openssl, zlint, Go):
 * `node test/support/profiles.ts DIR` makes DIR/<profile>-<algorithm>/{leaf,intermediate,root}.pem, and CRLs of both CAs that have
 * nothing (good.crl) or the leaf (revoked.crl).
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeName } from "../../src/pki/authority.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { createCrl } from "../../src/pki/crl.ts";
import type { GeneralName } from "../../src/pki/general-name.ts";
import { type Content, newSerial, toLeafTemplate } from "../../src/pki/leaf.ts";
import { toNamedAuthorityTbs } from "../../src/pki/named-authority.ts";
import { toNamedTbs } from "../../src/pki/named-leaf.ts";
import { crlLabel, toPem } from "../../src/pki/pem.ts";
import type { AnyProfileName } from "../../src/pki/profile.ts";
import {
  keyAlgorithms,
  keys,
  makeAuthority,
  makeKey,
  makeLeaf,
  makeSigner,
  now,
  profileNames,
  signTbs,
  type TestAuthority,
} from "./pki.ts";

/** What OpenSSL is to take each for, and nothing else. */
export const purposes: Readonly<Record<AnyProfileName, readonly ("sslserver" | "sslclient" | "crlsign")[]>> = {
  workload: ["sslserver", "sslclient"],
  serving: ["sslserver"],
  agent: ["sslclient"],
  operator: ["sslclient"],
  issuer: ["sslserver"],
  request: ["sslserver"],
  authority: ["crlsign"],
};

export const anyProfileNames: readonly AnyProfileName[] = [...profileNames, "request", "authority"];

/** The directories it wrote. Leaves are valid from two minutes before `at`, for an hour. */
export async function emitProfiles(dir: string, at: Date = now): Promise<readonly string[]> {
  const after = (seconds: number) => new Date(at.getTime() + seconds * 1000);
  const { spki } = makeKey("P-256");
  const content = { spki, notBefore: after(-120), notAfter: after(3600) };
  const times = { number: 300, thisUpdate: after(-3600), nextUpdate: after(86_400) };
  const written: string[] = [];
  for (const algorithm of keyAlgorithms) {
    const parts = { rootSigner: makeSigner("P-256"), signer: makeSigner(algorithm, keys(algorithm)) };
    const longLived = { ...parts, notAfter: after(365 * 86_400) };
    const [signsLeaves, signsAuthorities] = [
      await makeAuthority(algorithm, longLived),
      await makeAuthority(algorithm, { ...longLived, pathLength: 1 }),
    ];
    for (const profile of anyProfileNames) {
      const authority = profile === "authority" ? signsAuthorities : signsLeaves;
      const { certificate, signer, root, rootSigner } = authority;
      const leaf = await makeCertificate(profile, authority, content);
      const toCrls = async (serials: readonly Uint8Array[]): Promise<string> => {
        const revoked = serials.map((serial) => ({ serial, at: after(-3600), reason: 1 }));
        const both = [
          await createCrl({ ...times, signer: rootSigner, certificate: root, revoked: [] }),
          await createCrl({ ...times, signer, certificate, revoked }),
        ];
        return both.map((crl) => toPem(crlLabel, crl)).join("");
      };
      const path = join(dir, `${profile}-${algorithm}`);
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "leaf.pem"), toPem("CERTIFICATE", leaf));
      writeFileSync(join(path, "intermediate.pem"), toPem("CERTIFICATE", certificate));
      writeFileSync(join(path, "root.pem"), toPem("CERTIFICATE", root));
      writeFileSync(join(path, "good.crl"), await toCrls([]));
      writeFileSync(join(path, "revoked.crl"), await toCrls([readCertificate(leaf).serial]));
      written.push(path);
    }
  }
  return written;
}

/** One of each kind that a request may name. */
const names: readonly GeneralName[] = [
  { kind: "dns", value: "*.shop.example" },
  { kind: "ip", value: "10.0.0.1" },
  { kind: "ip", value: "2001:db8:0:0:0:0:0:1" },
  { kind: "email", value: "till@shop.example" },
  { kind: "uri", value: "https://shop.example/till" },
];

/** `request` with the key usages that cert-manager asks for by itself. */
async function makeCertificate(
  profile: AnyProfileName,
  authority: TestAuthority,
  content: Omit<Content, "serial">,
): Promise<Uint8Array> {
  const template = toLeafTemplate(authority, "workload");
  const more = { ...content, serial: newSerial(randomBytes), subject: encodeName("till") };
  switch (profile) {
    case "request": {
      const usages = ["digital signature", "key encipherment", "server auth", "email protection"] as const;
      return await signTbs(authority, toNamedTbs(template, { ...more, names, usages }));
    }
    case "authority": {
      const scope = { trustDomain: "shop.example", dnsNames: ["shop.example"] };
      return await signTbs(authority, toNamedAuthorityTbs(template, { ...more, scope }));
    }
    default:
      return await makeLeaf(authority, { profile, ...content });
  }
}

if (import.meta.main) {
  const dir = process.argv[2];
  if (dir === undefined) throw new Error("usage: node test/support/profiles.ts DIR");
  for (const path of await emitProfiles(dir, new Date())) console.log(path);
}
