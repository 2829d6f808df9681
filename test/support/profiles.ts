/**
 * Writes a leaf, its intermediate and root for every profile and authority algorithm, for outside judges (openssl, zlint, Go):
 * `node test/support/profiles.ts DIR` makes DIR/<profile>-<algorithm>/{leaf,intermediate,root}.pem.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toPem } from "../../src/pki/pem.ts";
import { keyAlgorithms, keys, makeAuthority, makeKey, makeLeaf, makeSigner, now, profileNames } from "./pki.ts";

/** The directories it wrote. Leaves are valid from two minutes before `at`, for an hour. */
export async function emitProfiles(dir: string, at: Date = now): Promise<readonly string[]> {
  const after = (seconds: number) => new Date(at.getTime() + seconds * 1000);
  const { spki } = makeKey("P-256");
  const written: string[] = [];
  for (const algorithm of keyAlgorithms) {
    const parts = { rootSigner: makeSigner("P-256"), signer: makeSigner(algorithm, keys(algorithm)) };
    const authority = await makeAuthority(algorithm, { ...parts, notAfter: after(365 * 86_400) });
    for (const profile of profileNames) {
      const leaf = await makeLeaf(authority, { profile, spki, notBefore: after(-120), notAfter: after(3600) });
      const path = join(dir, `${profile}-${algorithm}`);
      mkdirSync(path, { recursive: true });
      writeFileSync(join(path, "leaf.pem"), toPem("CERTIFICATE", leaf));
      writeFileSync(join(path, "intermediate.pem"), toPem("CERTIFICATE", authority.certificate));
      writeFileSync(join(path, "root.pem"), toPem("CERTIFICATE", authority.root));
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
