/**
 * Writes a leaf, its intermediate and root for every profile and authority algorithm, for outside judges (openssl, zlint, Go):
 * `node test/support/profiles.ts DIR` makes DIR/<profile>-<algorithm>/{leaf,intermediate,root}.pem.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toPem } from "../../src/pki/pem.ts";
import { authorities, keyAlgorithms, later, makeLeaf, profileNames } from "./pki.ts";

/** The directories it wrote. Certificates are valid from two minutes before the tests' `now`, for an hour. */
export async function emitProfiles(dir: string): Promise<readonly string[]> {
  const written: string[] = [];
  for (const algorithm of keyAlgorithms) {
    const authority = await authorities(algorithm);
    for (const profile of profileNames) {
      const leaf = await makeLeaf(authority, { profile, notAfter: later(3600) });
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
  for (const path of await emitProfiles(dir)) console.log(path);
}
