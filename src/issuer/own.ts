/** Certificates of Espalier's own, under the hub root: agents', operators' and the issuer's. They go the way of every other: intent first. */
import { Refusal } from "../errors.ts";
import { hubLog, type Ledger } from "../ledger/ledger.ts";
import type { LeafNames, ProfileName } from "../pki/profile.ts";
import { active } from "./allowed.ts";
import { type PrepareParts, prepare } from "./prepare.ts";
import { type Signed, sign } from "./sign.ts";
import type { World } from "./world.ts";

export interface OwnRequest {
  readonly profile: Extract<ProfileName, "agent" | "issuer" | "operator">;
  /** Empty for the issuer itself, and for operators. */
  readonly cluster: string;
  readonly names: LeafNames;
  readonly validitySeconds: number;
  /** Who or what allowed it, for the ledger. */
  readonly rule: string;
  readonly proof: string;
  readonly spki: Uint8Array;
  readonly tokenSha256?: Uint8Array;
}

export interface OwnParts extends PrepareParts {
  readonly ledger: Ledger;
}

/** @throws Refusal. */
export async function issueOwn({ spki, ...request }: OwnRequest, world: World, parts: OwnParts): Promise<Signed> {
  const allowed = { ...request, log: hubLog, door: "own", authority: active(world, "hub", world.hub) } as const;
  const [intended] = await parts.ledger.intend([prepare(allowed, spki, parts)]);
  if (intended === undefined) throw new Refusal("internal", "the ledger gave no answer");
  return await sign(intended, world.authorities, parts.ledger);
}
