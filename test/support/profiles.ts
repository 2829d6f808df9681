/**
 * Writes a leaf, its intermediate and root for every profile and authority algorithm, for outside judges (openssl, zlint, Go):
 * `node test/support/profiles.ts DIR` makes DIR/<profile>-<algorithm>/{leaf,intermediate,root}.pem, and CRLs of both CAs that have
 * nothing (good.crl) or the leaf (revoked.crl).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCertificate } from "../../src/pki/certificate.ts";
import { createCrl } from "../../src/pki/crl.ts";
import { crlLabel, toPem } from "../../src/pki/pem.ts";
import { keyAlgorithms, keys, makeAuthority, makeKey, makeLeaf, makeSigner, now, profileNames } from "./pki.ts";

/** The directories it wrote. Leaves are valid from two minutes before `at`, for an hour. */
export async function emitProfiles(dir: string, at: Date = now): Promise<readonly string[]> {
  const after = (seconds: number) => new Date(at.getTime() + seconds * 1000);
  const { spki } = makeKey("P-256");
  const written: string[] = [];
  for (const algorithm of keyAlgorithms) {
    const parts = { rootSigner: makeSigner("P-256"), signer: makeSigner(algorithm, keys(algorithm)) };
    const authority = await makeAuthority(algorithm, { ...parts, notAfter: after(365 * 86_400) });
    const { certificate, signer, root, rootSigner } = authority;
    const times = { number: 300, thisUpdate: after(-3600), nextUpdate: after(86_400) };
    const toCrls = async (serials: readonly Uint8Array[]): Promise<string> => {
      const revoked = serials.map((serial) => ({ serial, at: after(-3600), reason: 1 }));
      const both = [
        await createCrl({ ...times, signer: rootSigner, certificate: root, revoked: [] }),
        await createCrl({ ...times, signer, certificate, revoked }),
      ];
      return both.map((crl) => toPem(crlLabel, crl)).join("");
    };
    for (const profile of profileNames) {
      const leaf = await makeLeaf(authority, { profile, spki, notBefore: after(-120), notAfter: after(3600) });
      const path = join(dir, `${profile}-${algorithm}`);
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "leaf.pem"), toPem("CERTIFICATE", leaf));
      writeFileSync(join(path, "intermediate.pem"), toPem("CERTIFICATE", authority.certificate));
      writeFileSync(join(path, "root.pem"), toPem("CERTIFICATE", authority.root));
      writeFileSync(join(path, "good.crl"), await toCrls([]));
      writeFileSync(join(path, "revoked.crl"), await toCrls([readCertificate(leaf).serial]));
      written.push(path);
    }
  }
  return written;
}

if (import.meta.main) {
  const dir = process.argv[2];
  if (dir === undefined) throw new Error("usage: node test/support/profiles.ts DIR");
  for (const path of await emitProfiles(dir, new Date())) console.log(path);
}
