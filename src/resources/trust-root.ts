/** `TrustRoot`: a trust anchor of workloads. Declaring one makes no key: that is a verb an operator types. */
import * as z from "zod";
import type { KeyAlgorithm } from "../custody/signer.ts";
import { algorithm, days, resource } from "./fields.ts";

const sources = ["espalier", "brought", "offline"] as const;
export type RootSource = (typeof sources)[number];

export interface TrustRoot {
  readonly name: string;
  readonly algorithm: KeyAlgorithm;
  readonly validityDays: number;
  readonly source: RootSource;
}

/**
 * P-256 by default: every handshake of the mesh verifies the root's signature, which with P-384 costs several times as much,
 * and a chain is as strong as its weakest key, which is a workload's P-256.
 */
const spec = z
  .strictObject({
    algorithm: algorithm
      .default("P-256")
      .describe(
        "The root's key: P-256, P-384, RSA-2048, RSA-3072 or RSA-4096. Default P-256. Counts when the root is made here.",
      ),
    validityDays: days(30, 7300)
      .default(3650)
      .describe(
        "How long the root's certificate is valid, in days, 30 to 7300. Default 3650. Counts when the root is made here.",
      ),
    source: z
      .enum(sources)
      .default("espalier")
      .describe(
        "Where the root is from: espalier (made here), brought (certificate and key are given to the issuer's custody) or offline (its key stays elsewhere, and signs each authority there). Default espalier. Counts when the root is made or brought.",
      ),
  })
  .prefault({})
  .describe("What the root is made as.");

export const trustRootSchema = resource(
  "TrustRoot",
  "A trust anchor of workloads. It signs authorities and nothing else.",
  spec,
);

export function toTrustRoot({ metadata, spec }: z.infer<typeof trustRootSchema>): TrustRoot {
  return { name: metadata.name, ...spec };
}
