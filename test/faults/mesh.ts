/** The documents of every schedule, and who asks: two tenants, a cluster with declared keys, one that joins and one that proposes. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import type { Asked } from "../../src/issuer/item.ts";
import { toCsr } from "../../src/pki/request.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { type Founding, hub, ledgerKeyName } from "./life.ts";

export const tenants = ["shop", "bank"] as const;
export type Tenant = (typeof tenants)[number];
/** Without its root until a step makes it. */
export const spareRoot = "spare";
export const by = (reason: string) => ({ operator: "unix:ada", reason });

const east = createTokenIssuer(
  "https://kubernetes.default.svc.cluster.local",
  generateKeyPairSync("ec", { namedCurve: "P-256" }),
);

export const declared: Declared = read(
  join(
    root("main"),
    root(spareRoot),
    cluster("east", { keys: JSON.stringify({ jwks: east.jwks }) }),
    cluster("west", { keys: "{ joined: true }" }),
    cluster("north", { keys: "{ proposed: approved }" }),
    ...tenants.map((name) => tenant(name)),
  ),
);

/** A workload's request: a pod of its tenant's namespace, with a token of now. */
export function toAsked(name: Tenant, privateKey: KeyObject, now: Date, idempotencyKey = ""): Asked {
  const account = { namespace: `${name}-1`, serviceAccount: "web" };
  return {
    door: "istio",
    csr: toCsr({ privateKey, uri: `spiffe://${name}.example/ns/${account.namespace}/sa/web`, subject: "istio" }),
    validitySeconds: 3600,
    signer: "",
    deadline: new Date(+now + 20_000),
    idempotencyKey,
    proof: { kind: "token", token: east.token({ ...account, issuedAt: now }) },
  };
}

/** What an operator's first verbs make, each of them safe to repeat. */
export async function found(parts: Founding): Promise<void> {
  const { state, custody } = parts;
  await custody.openKey(ledgerKeyName).catch(async () => await custody.createKey(ledgerKeyName, "P-256"));
  const has = (await state.authorities()).some(({ kind }) => kind === "hub");
  const order = { kind: "hub", owner: hub, algorithm: "P-256", validityDays: 3650 } as const;
  if (!has) await addRoot(order, by("init"), parts);
}

/** Its roots, and authorities under them. As safe to repeat. */
export async function furnish(parts: Founding): Promise<void> {
  const has = await parts.state.authorities();
  for (const [kind, owner] of [
    ["root", "main"],
    ["serving", "east"],
  ] as const) {
    const order = { kind, owner, algorithm: "P-256", validityDays: 3650 } as const;
    if (!has.some((record) => record.kind === kind)) await addRoot(order, by("first"), parts);
  }
  await makeAuthorities(declared, parts);
}
