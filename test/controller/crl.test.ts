import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { CertificateRevocationList } from "pkijs";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { bringCrl, decideCrls, makeCrls, revokedMax } from "../../src/controller/crl.ts";
import type { AuthorityParts } from "../../src/controller/generation.ts";
import { addRoot } from "../../src/controller/root.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { Refusal } from "../../src/errors.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRecord, CrlRecord } from "../../src/ledger/state.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { type CrlRequest, createCrl } from "../../src/pki/crl.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { act, draft } from "../contract/drafts.ts";
import { cluster, join as documents, read, root, tenant } from "../resources/build.ts";
import { rootRecord } from "../support/authority-record.ts";
import { makeAuthority } from "../support/pki.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const random = (n: number): Uint8Array => randomBytes(n);
const start = Date.parse("2026-11-21T11:00:00Z");
const day = 86_400_000;
const by = { operator: "unix:test", reason: "test" };

function declare(...tenants: readonly string[]): Declared {
  return read(documents(root("main"), root("other"), cluster("east"), ...tenants));
}

const shop = tenant("shop", { more: "crl: { nextUpdateDays: 30 }" });
const bank = tenant("bank");
const apart = tenant("apart", { root: "other" });

interface Hub extends AsyncDisposable {
  readonly database: Database;
  readonly parts: AuthorityParts;
  readonly time: { ms: number };
  /** Each CRL as pkijs reads it, by the owner of its CA. */
  crls(): Promise<ReadonlyMap<string, CrlRecord & { readonly list: CertificateRevocationList }>>;
  authority(owner: string): Promise<AuthorityRecord>;
}

let made = 0;

async function openHub(declared: Declared, write?: Write): Promise<Hub> {
  const time = { ms: start };
  const now = () => new Date(time.ms);
  const path = join(base.path, `${made++}.db`);
  const database = await openSqlite({ path, now, create: true, ...(write === undefined ? {} : { write }) });
  const { state } = database;
  const parts = { state, custody, now, random };
  for (const owner of ["main", "other"])
    await addRoot({ kind: "root", owner, algorithm: "P-256", validityDays: 3650 }, by, parts);
  await makeAuthorities(declared, parts);
  return {
    database,
    parts,
    time,
    crls: async () => {
      const records = await state.authorities();
      const owner = (id: string): string => records.find((one) => one.id === id)?.owner ?? "";
      return new Map(
        (await state.crls()).map((crl) => [
          owner(crl.authority),
          { ...crl, list: CertificateRevocationList.fromBER(Uint8Array.from(crl.crl)) },
        ]),
      );
    },
    authority: async (owner) => {
      const found = (await state.authorities()).find((one) => one.owner === owner && one.state === "active");
      assert.ok(found);
      return found;
    },
    [Symbol.asyncDispose]: async () => await database[Symbol.asyncDispose](),
  };
}

test("no tenant wants CRLs: there are none", async () => {
  const declared = declare(bank, apart);
  await using hub = await openHub(declared);
  await makeCrls(declared, hub.parts);
  assert.deepEqual(await hub.database.state.crls(), []);
});

test("one tenant wants them: every CA under its root has one, its neighbours' too, and no CA under another", async () => {
  const declared = declare(shop, bank, apart);
  await using hub = await openHub(declared);
  await makeCrls(declared, hub.parts);
  const crls = await hub.crls();
  assert.deepEqual([...crls.keys()].sort(), ["bank", "main", "shop"]);
  for (const { number, thisUpdate, nextUpdate, list } of crls.values()) {
    assert.equal(number, 1);
    assert.ok(+thisUpdate < start, "for clocks that are behind");
    assert.equal(+nextUpdate, start + 30 * day);
    assert.deepEqual(list.nextUpdate?.value, nextUpdate);
    assert.equal(list.revokedCertificates, undefined);
  }
});

test("a CRL is made anew at half of its time, at once for what was revoked, and no sooner", async () => {
  const declared = declare(shop, bank);
  await using hub = await openHub(declared);
  const { database, parts, time } = hub;
  const pass = async (ms: number): Promise<readonly string[]> => {
    time.ms = start + ms;
    const told: string[] = [];
    await makeCrls(declared, parts, ({ record, last }) => told.push(`${record.owner} ${(last?.number ?? 0) + 1}`));
    return told.sort();
  };
  assert.deepEqual(await pass(0), ["bank 1", "main 1", "shop 1"]);
  assert.deepEqual(await pass(0), []);
  assert.deepEqual(await pass(15 * day), []);
  assert.deepEqual(await pass(15 * day + 1000), ["bank 2", "main 2", "shop 2"]);
  const { id } = await hub.authority("shop");
  const made = draft({ authority: id, notAfter: new Date(time.ms + day) });
  await database.ledger.intend([made]);
  assert.deepEqual(await pass(15 * day + 2000), [], "what is not revoked makes no CRL due");
  await database.state.revoke([made.serial], "keyCompromise", act());
  assert.deepEqual(await pass(15 * day + 3000), ["shop 3"]);
  const { list, thisUpdate } = (await hub.crls()).get("shop") ?? {};
  const [entry] = list?.revokedCertificates ?? [];
  assert.deepEqual(Buffer.from(entry?.userCertificate.valueBlock.valueHexView ?? []), Buffer.from(made.serial));
  assert.deepEqual(entry?.revocationDate.value, thisUpdate, "nothing in it is younger than it is itself");
  assert.deepEqual(await pass(29 * day), []);
  assert.deepEqual(await pass(31 * day), ["bank 3", "main 3", "shop 4"]);
  assert.equal((await hub.crls()).get("shop")?.list.revokedCertificates, undefined, "it has ended by itself");
});

test("a revoked authority is in its root's CRL, gets none of its own any more, and its successor has one", async () => {
  const declared = declare(shop);
  await using hub = await openHub(declared);
  const { database, parts } = hub;
  await makeCrls(declared, parts);
  const revoked = await hub.authority("shop");
  const { serial } = readCertificate(revoked.certificate);
  const { notAfter, parent = "" } = revoked;
  const certificate = { serial, log: "shop", authority: parent, notAfter, reason: "cACompromise" } as const;
  await database.state.revokeAuthority(revoked.id, certificate, act());
  await makeAuthorities(declared, parts);
  const told: string[] = [];
  await makeCrls(declared, parts, ({ record }) => told.push(record.id));
  const successor = await hub.authority("shop");
  assert.deepEqual(told.sort(), [parent, successor.id].sort());
  const [entry] = (await hub.crls()).get("main")?.list.revokedCertificates ?? [];
  assert.deepEqual(Buffer.from(entry?.userCertificate.valueBlock.valueHexView ?? []), Buffer.from(serial));
});

test("one CA's failure is not another's, and leaves the CRL before in force", async () => {
  const declared = declare(shop, bank);
  await using hub = await openHub(declared);
  await makeCrls(declared, hub.parts);
  const { keyName } = await hub.authority("main");
  const away = {
    ...custody,
    openKey: async (name: string) => {
      if (name === keyName) throw new Refusal("unavailable", "the root's key is away");
      return await custody.openKey(name);
    },
  };
  hub.time.ms = start + 20 * day;
  await assert.rejects(makeCrls(declared, { ...hub.parts, custody: away }), /the root's key is away/);
  const numbers = [...(await hub.crls())].map(([owner, { number }]) => `${owner} ${number}`);
  assert.deepEqual(numbers.sort(), ["bank 2", "main 1", "shop 2"]);
});

test("more than fit where pods read them are not signed", async () => {
  const declared = declare(shop);
  await using hub = await openHub(declared);
  const { id } = await hub.authority("shop");
  const many = { serial: Uint8Array.of(1), log: "shop", authority: id, notAfter: new Date(start + day) };
  const records = Array.from({ length: revokedMax + 1 }, () => ({
    ...many,
    reason: "unspecified" as const,
    at: new Date(start),
  }));
  const state = { ...hub.parts.state, revocations: async () => records };
  await assert.rejects(makeCrls(declared, { ...hub.parts, state }), /10001 revoked certificates, more than the 10000/);
});

for (const outcome of ["lost", "kept"] as const) {
  test(`a CRL whose write is ${outcome} is there whole or not at all, and numbers only grow`, async () => {
    let failing = false;
    const write: Write = (name, commit) => {
      const fails = failing && name === "state";
      failing = failing && !fails;
      if (!fails || outcome === "kept") commit();
      if (fails) throw new Error("the disk is away");
    };
    const declared = declare(shop);
    await using hub = await openHub(declared, write);
    await makeCrls(declared, hub.parts);
    hub.time.ms = start + 20 * day;
    failing = true;
    await assert.rejects(makeCrls(declared, hub.parts), { code: "unavailable" });
    await makeCrls(declared, hub.parts);
    assert.deepEqual(
      [...(await hub.crls()).values()].map(({ number }) => number),
      [2, 2],
    );
    for await (const { faults } of hub.database.ledger.verify()) assert.deepEqual(faults, []);
  });
}

test("a root whose key is offline has the CRL that is brought, and none else", async () => {
  const shopAway = tenant("shop", { root: "away", more: "crl: {}" });
  const declared = read(documents(root("away", "{ source: offline }"), cluster("east"), shopAway));
  await using hub = await openHub(declare(bank));
  const { database, parts, time } = hub;
  const { state } = database;
  const away = await makeAuthority("P-256", { notAfter: new Date(start + 365 * day) });
  const stranger = await makeAuthority("P-256");
  const order = { kind: "root", owner: "away", algorithm: "P-256", validityDays: 3650 } as const;
  const material = { kind: "offline", certificate: away.root } as const;
  const { id } = await addRoot(order, by, parts, { material, state: "active" });
  await assert.rejects(makeCrls(declared, parts), /is offline: have a CRL signed there, and `espalier crl bring` it/);
  const signed = async (more: Partial<CrlRequest> = {}) =>
    await createCrl({
      signer: away.rootSigner,
      certificate: away.root,
      number: 7,
      thisUpdate: new Date(start - day),
      nextUpdate: new Date(start + 60 * day),
      revoked: [],
      ...more,
    });
  const bring = async (crl: Uint8Array, owner = "away", dryRun = false) =>
    await bringCrl(owner, crl, by, { ...parts, dryRun });
  const first = await signed();
  assert.equal((await bring(first, "away", true)).changed, true);
  assert.deepEqual(await state.crls(), [], "a dry run keeps nothing");
  assert.equal((await bring(first)).changed, true);
  assert.equal((await bring(first)).changed, false);
  await makeCrls(declared, parts);
  const other = { signer: stranger.rootSigner, certificate: stranger.root };
  for (const [title, crl, code, says] of [
    ["another root's", await signed({ ...other, number: 8 }), "malformed", /no root of TrustRoot "away" has signed/],
    ["the same number", await signed({ nextUpdate: new Date(start + 61 * day) }), "not-ready", /has to be higher/],
    ["an older number", await signed({ number: 6 }), "not-ready", /has to be higher/],
    ["one that has ended", await signed({ number: 8, nextUpdate: new Date(start - 1000) }), "not-ready", /not now/],
    ["one of tomorrow", await signed({ number: 8, thisUpdate: new Date(start + day) }), "not-ready", /not now/],
    ["no CRL", away.root, "malformed", /version|missing|type/],
  ] as const)
    await assert.rejects(bring(crl), { code, message: says }, title);
  await assert.rejects(bring(await signed(), "main"), { code: "malformed" });
  // What is revoked here must be in it.
  const serial = Uint8Array.of(9, 9);
  await state.addAuthority({ ...(await hub.authority("bank")), id: "tenant-shop-1", owner: "shop", parent: id }, act());
  const certificate = {
    serial,
    log: "shop",
    authority: id,
    notAfter: new Date(start + day),
    reason: "cACompromise",
  } as const;
  await state.revokeAuthority("tenant-shop-1", certificate, act());
  await assert.rejects(makeCrls(declared, parts), /is offline/, "due again");
  await assert.rejects(bring(await signed({ number: 8 })), { code: "not-ready", message: /leaves out .*: 0909$/ });
  const revoked = [{ serial, at: new Date(start), reason: 2 }];
  assert.equal((await bring(await signed({ number: 8, revoked }))).record.number, 8);
  await makeCrls(declared, parts);
  time.ms = start + 50 * day;
  await assert.rejects(makeCrls(declared, parts), /is offline/, "in time before it ends");
});

test("a shorter validity that a document asks for counts at half of that", () => {
  const records = [rootRecord({ id: "root-main" })];
  const last = { authority: "root-main", number: 1, revocations: 0, crl: new Uint8Array() };
  const crls = [{ ...last, thisUpdate: new Date(start), nextUpdate: new Date(start + 30 * day) }];
  const due = (declared: Declared, ms: number) =>
    decideCrls(declared, records, crls, new Map(), new Date(start + ms)).length;
  const shorter = declare(shop, tenant("bank", { more: "crl: { nextUpdateDays: 4 }" }));
  assert.deepEqual([due(declare(shop), 16 * day), due(shorter, 16 * day), due(shorter, 29 * day)], [1, 0, 1]);
});
