/** What an issuer starts from, made once: the ledger, its key, and the hub root. Repeating it finishes what a crash left undone. */
import { hash } from "node:crypto";
import type { AuthorityParts } from "../controller/generation.ts";
import { addRoot, toHubOrder } from "../controller/root.ts";
import type { Custody } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import type { AuthorityRecord } from "../ledger/state.ts";
import type { IssuerConfig } from "../ops/config.ts";
import { makeSealingKey, openCustody } from "./custody.ts";
import { openDatabase } from "./database.ts";

/** The key that signs the ledger's heads, in custody. */
export const ledgerKey = "ledger";

export interface MadeHub {
  readonly root: AuthorityRecord;
  /** Empty when all of it was there. */
  readonly made: readonly string[];
}

/**
 * Of several processes that do this at once on one database, one makes the root and the others find it.
 * @throws Refusal `config` when what is there belongs to another hub, or keys are missing that there were once.
 */
export async function makeHub(
  config: IssuerConfig,
  { operator, now, random }: Pick<AuthorityParts, "now" | "random"> & { readonly operator: string },
): Promise<MadeHub> {
  await using database = await openDatabase(config, { now, create: true });
  const { state } = database;
  const existing = findHubRoot(await state.authorities(), config);
  const madeSealing = await makeSealingKey(config, state).catch(otherwise("not-ready", false));
  await using custody = await openCustody(config, state);
  const madeKey = await makeLedgerKey(custody, existing);
  const { root, madeRoot } =
    existing === undefined
      ? await makeHubRoot(config, operator, { state, custody, now, random })
      : { root: existing, madeRoot: false };
  const made = { "the sealing key": madeSealing, "the ledger's key": madeKey, "the hub root": madeRoot };
  return { root, made: Object.entries(made).flatMap(([what, isMade]) => (isMade ? [what] : [])) };
}

/** The one that signs now. @throws Refusal `config` when the database is another hub's, or lacks the root that the configuration names. */
export function findHubRoot(
  records: readonly AuthorityRecord[],
  { hub, hubRootSha256 }: Pick<IssuerConfig, "hub" | "hubRootSha256">,
): AuthorityRecord | undefined {
  const roots = records.filter(({ kind }) => kind === "hub");
  const root = roots.find(({ state }) => state === "active") ?? roots[0];
  if (root !== undefined && root.owner !== hub)
    throw new Refusal(
      "config",
      `hub: the database belongs to hub "${root.owner}", and the configuration says "${hub}"`,
    );
  if (hubRootSha256 !== undefined && !roots.some(({ certificate }) => hash("sha256", certificate) === hubRootSha256)) {
    const found = root === undefined ? "no hub root" : `hub root ${hash("sha256", root.certificate)}`;
    throw new Refusal("config", `hubRootSha256: the database has ${found}: restore the one that belongs to this hub`);
  }
  return root;
}

/** Where there is a hub there was a key: another one would sign heads that nobody could hold against the earlier ones. */
async function makeLedgerKey(custody: Custody, hub: AuthorityRecord | undefined): Promise<boolean> {
  try {
    await custody.openKey(ledgerKey);
    return false;
  } catch (error) {
    if (!isRefusal(error, "not-found")) throw error;
    if (hub !== undefined) {
      const message = `keys: hub "${hub.owner}" is in the database, and the key "${ledgerKey}" is not there: restore the keys that belong to it`;
      throw new Refusal("config", message, { cause: error });
    }
    return await custody.createKey(ledgerKey, "P-256").then(() => true, otherwise("not-ready", false));
  }
}

async function makeHubRoot(
  config: IssuerConfig,
  operator: string,
  parts: AuthorityParts,
): Promise<{ readonly root: AuthorityRecord; readonly madeRoot: boolean }> {
  const made = await addRoot(toHubOrder(config.hub), { operator, reason: "init" }, parts).catch(
    otherwise("not-ready", undefined),
  );
  if (made !== undefined) return { root: made, madeRoot: true };
  // Another process was first.
  const root = findHubRoot(await parts.state.authorities(), config);
  if (root === undefined) throw new Error("a hub root is there and is not found");
  return { root, madeRoot: false };
}

/** For `catch`: what a refusal of that code means; anything else is thrown on. */
function otherwise<T>(code: Refusal["code"], meaning: T): (error: unknown) => T {
  return (error) => {
    if (isRefusal(error, code)) return meaning;
    throw error;
  };
}

function isRefusal(error: unknown, code: Refusal["code"]): boolean {
  return error instanceof Refusal && error.code === code;
}
