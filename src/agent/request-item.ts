/** What the hub is asked for an object, whichever door it came by. */
import type { Meta } from "../kube/meta.ts";
import type { SignItem } from "../rpc/gen/espalier/v1/SignItem.ts";
import type { Sign } from "./request-step.ts";

/** As the hub calls it. */
export type DoorName = "certificate-request" | "csr";

/** Of the groups of who made it. */
const groupsMax = 64;

export function toItem(door: DoorName, { uid, name }: Pick<Meta, "uid" | "name">, step: Sign) {
  const { der: csr, validitySeconds, tenant: signer, profile, usages, asker } = step;
  const { issuer, groups, ...told } = asker;
  return {
    csr,
    validitySeconds,
    signer,
    idempotencyKey: uid,
    request: {
      ...told,
      door,
      name,
      issuer: `${issuer.kind}/${issuer.name}`,
      profile,
      groups: groups.slice(0, groupsMax),
      usages: [...usages],
    },
  } satisfies SignItem;
}
