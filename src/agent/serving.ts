/** The agent's serving certificate, under the cluster's own serving root: asked for on the same stream as every other. */
import { X509Certificate } from "node:crypto";
import { openVerifier } from "../pki/chain.ts";
import { readCsr } from "../pki/csr.ts";
import { certificateLabel, readPemAll, toPemAll } from "../pki/pem.ts";
import { toCsr } from "../pki/request.ts";
import type { Hub } from "./hub.ts";
import type { KeptTrust } from "./kept-trust.ts";
import { type KeyPair, newKey, toKeyPair } from "./key-pair.ts";

/** The names are the MeshCluster's, and the hub's to say; they, the key and the root are checked here. @throws Refusal, Error. */
export async function getServing(hub: Hub, trust: KeptTrust | undefined, now: () => Date): Promise<KeyPair> {
  if (trust === undefined) throw new Error("the cluster's serving root is not known yet");
  const { privateKey, keyPem } = newKey();
  const csr = toCsr({ privateKey });
  const { leaf, chain } = await hub.sign({ csr, serving: {} });
  openVerifier()({
    leaf,
    intermediates: chain.intermediates,
    roots: readPemAll(trust.servingRootsPem),
    at: now(),
    key: readCsr(csr).spki,
    // Others are of a hub that is about to tell us, or has told us and another of its issuers does not know yet.
    ...(trust.servingNames.length === 0 ? {} : { names: { dns: trust.servingNames } }),
  });
  return toKeyPair(toPemAll(certificateLabel, [leaf, ...chain.intermediates]), keyPem);
}

/** Whether a certificate still chains to what the cluster trusts, and has the names that its MeshCluster lists now. */
export function isCurrent({ chainPem }: KeyPair, { servingRootsPem, servingNames }: KeptTrust): boolean {
  const leaf = new X509Certificate(chainPem);
  const isUnder =
    servingRootsPem !== "" &&
    readPemAll(servingRootsPem).some((root) => leaf.verify(new X509Certificate(root).publicKey));
  const names = new Set(leaf.subjectAltName?.split(", "));
  return (
    isUnder &&
    (servingNames.length === 0 ||
      (names.size === servingNames.length && servingNames.every((name) => names.has(`DNS:${name}`))))
  );
}
