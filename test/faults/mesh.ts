/**
 * The documents of every schedule, and who asks: tenants of one root, one whose root is offline and one that gives CA certificates; a
 * cluster with declared keys, one that joins and three that propose.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import type { Asked } from "../../src/issuer/item.ts";
import { createAuthority, createRoot } from "../../src/pki/authority.ts";
import { newSerial } from "../../src/pki/leaf.ts";
import { toCsr } from "../../src/pki/request.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { cluster, join, read, root, tenant } from "../resources/build.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { makeSigner } from "../support/pki.ts";
import { type Founding, hub, ledgerKeyName } from "./life.ts";

/** `mint` stands under a root that is offline, and `forge` alone under one of its own. */
export const tenants = ["shop", "bank", "mint", "forge"] as const;
export type Tenant = (typeof tenants)[number];
/** Without their roots until a step makes one, or brings it. */
export const spareRoot = "spare";
export const guestRoot = "guest";
export const offlineRoot = "vault";
export const start = new Date("2026-11-21T12:00:00Z");
const dayMs = 86_400_000;
const hourMs = 3_600_000;

export const by = (reason: string) => ({ operator: "unix:ada", reason });

const east = createTokenIssuer(
  "https://kubernetes.default.svc.cluster.local",
  generateKeyPairSync("ec", { namedCurve: "P-256" }),
);

/** What an operator has edited: `mint` wants other keys, `forge` gives no CA certificates and is suspended. */
export interface Edited {
  readonly mint: boolean;
  readonly forge: boolean;
}

const eastKeys = JSON.stringify({ jwks: east.jwks });

function declare({ mint, forge }: Edited): Declared {
  const authority = `authority: { algorithm: ${mint ? "P-384" : "P-256"} }`;
  const requests = "requests: { authorities: { namespaces: [forge-1], maximumSeconds: 3600 } }";
  return read(
    join(
      root("main"),
      root("own"),
      root(spareRoot),
      root(offlineRoot, "{ source: offline }"),
      root(guestRoot, "{ source: offline }"),
      cluster("east", { keys: eastKeys }),
      cluster("west", { keys: "{ joined: true }" }),
      cluster("north", { keys: "{ proposed: approved }" }),
      cluster("cape", { keys: "{ proposed: approved }" }),
      cluster("islet", { keys: "{ proposed: taken }" }),
      tenant("shop"),
      tenant("bank"),
      tenant("mint", { root: offlineRoot, more: `${authority}\n  crl: {}` }),
      tenant("forge", { root: "own", more: forge ? "suspended: true" : requests }),
    ),
  );
}

const editions = new Map<string, Declared>();

export function declaredAs(edited: Edited): Declared {
  const key = JSON.stringify([edited.mint, edited.forge]);
  const declared = editions.get(key) ?? declare(edited);
  editions.set(key, declared);
  return declared;
}

export function identityOf(name: Tenant): string {
  return `spiffe://${name}.example/ns/${name}-1/sa/web`;
}

/** One key for every request, and one CSR for every tenant: what it costs to make one is nobody's question here. */
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const csrs = new Map(
  tenants.map((name) => [name, toCsr({ privateKey, uri: identityOf(name), subject: "istio" as const })]),
);

/** A workload's request: a pod of its tenant's namespace, with a token of now. */
export function toAsked(name: Tenant, now: Date, idempotencyKey = ""): Asked {
  const account = { namespace: `${name}-1`, serviceAccount: "web" };
  return {
    door: "istio",
    csr: csrs.get(name) ?? new Uint8Array(),
    validitySeconds: 7200,
    signer: "",
    deadline: new Date(+now + 20_000),
    idempotencyKey,
    proof: { kind: "token", token: east.token({ ...account, issuedAt: now }) },
  };
}

/** Whoever has the key of an offline root. */
export interface Elsewhere {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly signer: ReturnType<typeof makeSigner>;
  /** An authority of path length 0 for this key, from now on. */
  certify(spki: Uint8Array, commonName: string, now: Date): Promise<Uint8Array>;
}

export async function openElsewhere(name: string): Promise<Elsewhere> {
  const signer = makeSigner("P-256");
  const times = { notBefore: new Date(+start - dayMs), notAfter: new Date(+start + 7300 * dayMs) };
  const serial = (): Uint8Array => newSerial(randomBytes);
  const certificate = await createRoot({ signer, commonName: name, serial: serial(), ...times });
  return {
    certificate,
    signer,
    certify: async (spki, commonName, now) =>
      await createAuthority({
        signer,
        parent: certificate,
        spki,
        commonName,
        serial: serial(),
        pathLength: 0,
        notBefore: new Date(+now - hourMs),
        notAfter: new Date(+now + 300 * dayMs),
      }),
  };
}

export const vault = await openElsewhere("vault");
/** Generations of one root that are brought one after the other. */
export const guests: readonly Elsewhere[] = [await openElsewhere("guest 1"), await openElsewhere("guest 2")];

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
    ["root", "own"],
    ["root", offlineRoot],
    ["serving", "east"],
  ] as const) {
    const order = { kind, owner, algorithm: "P-256", validityDays: 3650 } as const;
    if (has.some((record) => record.kind === kind && record.owner === owner)) continue;
    const material =
      owner === offlineRoot
        ? ({ kind: "offline", certificate: vault.certificate } as const)
        : ({ kind: "made" } as const);
    await addRoot(order, by("first"), parts, { material, state: "active" });
  }
  await makeAuthorities(declaredAs({ mint: false, forge: false }), parts);
}
