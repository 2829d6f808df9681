/** Trust as an agent keeps it. Its own file, and still read strictly: a half-written or foreign one is as none. */
import { z } from "zod";

const schema = z.strictObject({
  version: z.string(),
  servingRootsPem: z.string(),
  /** Empty: not said. What an earlier version kept has none. */
  servingNames: z.array(z.string()).default([]),
  clusterSuspended: z.boolean(),
  tokenKeysMissing: z.boolean().default(false),
  crlsPem: z.string().default(""),
  crlNamespaces: z.array(z.string()).default([]),
  /** Missing where the hub has not said, or what keeps this is of before. */
  hubRoots: z.strictObject({ pem: z.string(), from: z.array(z.string()).readonly() }).optional(),
  tenants: z.array(
    z.strictObject({
      tenant: z.string(),
      trustDomain: z.string(),
      rootsPem: z.string(),
      bundleVersion: z.string(),
      suspended: z.boolean(),
      requests: z.boolean().default(false),
    }),
  ),
});

export type KeptTrust = z.infer<typeof schema>;

export function readKept(text: string | undefined): KeptTrust | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
