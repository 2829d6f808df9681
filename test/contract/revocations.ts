/** What any database promises of what is taken back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Database } from "../../src/ledger/database.ts";
import type { LiveFilter } from "../../src/ledger/ledger.ts";
import { deniedWorkloadsMax } from "../../src/ledger/made-state.ts";
import type { CrlRecord, RevocationRecord } from "../../src/ledger/state.ts";
import { act, authority, draft, sha256 } from "./drafts.ts";
import { assertSound, intendOne, type OpenDatabase, plain, verbsOf } from "./ledger.ts";

const time = new Date("2026-11-21T11:00:00.123Z");
const later = new Date("2026-11-22T11:00:00Z");

const caCertificate: Omit<RevocationRecord, "at"> = {
  serial: Uint8Array.of(1, 2, 3),
  log: "shop",
  authority: "root-1",
  notAfter: later,
  reason: "cACompromise",
};

async function liveOf(database: Database, filter: LiveFilter = {}, at = time): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { intents } of database.ledger.live(filter, at))
    for (const { identity, isRevoked } of intents) found.push(`${identity}${isRevoked ? " revoked" : ""}`);
  return found.sort();
}

export function revocationContract(kind: string, open: OpenDatabase): void {
  test(`${kind}: what is revoked is said wherever its certificate is found, once and for good`, async () => {
    await using database = await open(() => time);
    const { state, ledger } = database;
    const [first, second] = [await intendOne(database), await intendOne(database)];
    const serials = [first.serial, sha256("nobody's").subarray(0, 16)];
    assert.equal(await state.revoke(serials, "keyCompromise", act({ verb: "revoke" })), 1);
    assert.equal(await state.revoke(serials, "superseded", act({ verb: "revoke" })), 0);
    const revocation = { reason: "keyCompromise", at: time };
    assert.deepEqual((await ledger.findSerial(first.serial))?.revocation, revocation);
    assert.equal((await ledger.findSerial(second.serial))?.revocation, undefined);
    assert.deepEqual((await ledger.entry(Buffer.from(first.serial).toString("hex")))?.revocation, revocation);
    const expected = [
      { serial: first.serial, log: "shop", authority: first.authority, notAfter: first.notAfter, ...revocation },
    ];
    assert.deepEqual(plain(await state.revocations(first.authority, time)), plain(expected));
    assert.deepEqual(plain(await state.lastRevocations(10)), plain(expected));
    assert.deepEqual(await state.revocations(first.authority, new Date("2027-01-01")), [], "it has ended");
    assert.deepEqual([...(await state.revocationCounts())], [[first.authority, 1]]);
    assert.equal((await verbsOf(database)).length, 1, "what changed nothing was not written");
    await assertSound(database);
  });

  test(`${kind}: many serials are one write, those of the hub are known apart`, async () => {
    await using database = await open(() => time);
    const drafts = Array.from({ length: 120 }, (_, index) => draft({ log: index === 0 ? "@hub" : "shop" }));
    await database.ledger.intend(drafts);
    const serials = drafts.map(({ serial }) => serial);
    assert.equal(await database.state.revoke(serials, "unspecified", act()), 120);
    const own = Buffer.from(drafts[0]?.serial ?? []).toString("hex");
    assert.deepEqual([...(await database.state.revokedOwn(time))], [own]);
    assert.deepEqual([...(await database.state.revokedOwn(new Date("2027-01-01")))], []);
    assert.equal((await database.state.lastRevocations(7)).length, 7);
  });

  test(`${kind}: what is live is found by log, identity, cluster or authority, however long the ledger is`, async () => {
    await using database = await open(() => time);
    const ended = new Date("2026-11-21T10:00:00Z");
    for (let call = 0; call < 20; call += 1)
      await database.ledger.intend(Array.from({ length: 120 }, () => draft({ identity: "old", notAfter: ended })));
    await intendOne(database, draft({ identity: "a", cluster: "west", authority: "x" }));
    const revoked = await intendOne(database, draft({ identity: "b" }));
    await database.ledger.intend(Array.from({ length: 200 }, () => draft({ identity: "old", notAfter: ended })));
    await intendOne(database, draft({ identity: "c' OR 1=1 --", log: "bank" }));
    await database.state.revoke([revoked.serial], "unspecified", act());
    assert.deepEqual(await liveOf(database), ["a", "b revoked", "c' OR 1=1 --"]);
    assert.deepEqual(await liveOf(database, { cluster: "west" }), ["a"]);
    assert.deepEqual(await liveOf(database, { authority: "x" }), ["a"]);
    assert.deepEqual(await liveOf(database, { log: "bank" }), ["c' OR 1=1 --"]);
    assert.deepEqual(await liveOf(database, { log: "shop", identity: "b" }), ["b revoked"]);
    assert.deepEqual(await liveOf(database, { identity: "' OR 1=1 --" }), []);
    assert.deepEqual(await liveOf(database, {}, new Date("2027-01-01")), []);
  });

  test(`${kind}: a workload that is denied gets nothing, and the others of its tenant go on`, async () => {
    await using database = await open();
    const { state, ledger } = database;
    const key = { key: "east/csr/1", digest: sha256("1") };
    const web = draft({ idempotency: key });
    const ask = async () =>
      await ledger.intend([draft(), draft({ idempotency: key }), draft({ identity: "spiffe://b" })]);
    await intendOne(database, web);
    const name = `shop/${web.identity}`;
    assert.equal(await state.setSuspended({ kind: "workload", name }, true, act()), true);
    assert.equal(await state.setSuspended({ kind: "workload", name }, true, act()), false);
    const denied = { kind: "suspended", what: "workload" };
    const [first, second, other] = await ask();
    assert.deepEqual([first, second, other?.kind], [denied, denied, "intent"]);
    assert.deepEqual(
      (await ledger.intend([draft({ log: "bank" })]))[0]?.kind,
      "intent",
      "another tenant's is another's",
    );
    assert.equal(await state.setSuspended({ kind: "workload", name }, false, act()), true);
    assert.deepEqual(
      (await ask()).map((answer) => answer.kind),
      ["intent", "replay", "intent"],
    );
  });

  test(`${kind}: no more workloads are denied than each write can read`, async () => {
    await using database = await open();
    const deny = async (name: string) => await database.state.setSuspended({ kind: "workload", name }, true, act());
    for (let index = 0; index < deniedWorkloadsMax; index += 1) await deny(`shop/${index}`);
    await assert.rejects(deny("shop/one more"), { code: "not-ready", message: /suspend the tenant/ });
    assert.equal(await deny("shop/0"), false);
    assert.equal((await database.state.suspensions()).length, deniedWorkloadsMax);
  });

  test(`${kind}: a document's suspension and an operator's do not lift one another`, async () => {
    await using database = await open();
    const { state } = database;
    const shop = { kind: "tenant", name: "shop" } as const;
    const asked = async () => (await database.ledger.intend([draft()]))[0]?.kind;
    assert.equal(await state.setSuspended(shop, true, act(), "document"), true);
    assert.equal(await state.setSuspended(shop, true, act()), true);
    assert.equal(await state.setSuspended(shop, false, act()), true);
    assert.equal(await asked(), "suspended");
    assert.deepEqual(await state.suspensions(), [{ ...shop, source: "document" }]);
    assert.equal(await state.setSuspended(shop, false, act(), "document"), true);
    assert.equal(await asked(), "intent");
  });

  test(`${kind}: a revoked authority is intended nothing for, and nothing of it is given out again`, async () => {
    await using database = await open(() => time);
    const { state, ledger } = database;
    const keyed = (key: string) => draft({ idempotency: { key, digest: sha256(key) } });
    await state.addAuthority(authority(), act());
    await state.addAuthority(authority({ id: "tenant/shop/2", state: "prepared" }), act());
    const recorded = await intendOne(database, keyed("recorded"));
    ledger.record(recorded, sha256("signature"));
    await intendOne(database, keyed("unrecorded"));
    assert.equal(await state.revokeAuthority("tenant/shop/1", caCertificate, act({ verb: "revoke" })), true);
    assert.equal(await state.revokeAuthority("tenant/shop/1", caCertificate, act({ verb: "revoke" })), false);
    await assert.rejects(state.revokeAuthority("' OR 1=1 --", caCertificate, act()), { code: "not-found" });
    const asked = [draft(), keyed("recorded"), keyed("unrecorded"), draft({ authority: "tenant/shop/2" })];
    const answers = await ledger.intend(asked);
    assert.deepEqual(answers.slice(0, 3), [
      { kind: "suspended", what: "authority" },
      // Of these not even the draft's own authority matters.
      { kind: "suspended", what: "authority" },
      { kind: "suspended", what: "authority" },
    ]);
    assert.equal(answers[3]?.kind, "intent");
    const again = ["recorded", "unrecorded"].map((key) => ({ ...keyed(key), authority: "tenant/shop/2" }));
    assert.deepEqual(await ledger.intend(again), [
      { kind: "suspended", what: "certificate" },
      { kind: "suspended", what: "certificate" },
    ]);
    assert.deepEqual(
      (await state.authorities()).map(({ state: one }) => one),
      ["revoked", "prepared"],
    );
    assert.deepEqual(plain(await state.revocations("root-1", time)), plain([{ ...caCertificate, at: time }]));
    await state.setAuthorityStates([{ id: "tenant/shop/2", from: "prepared", to: "active" }], act());
    await assertSound(database);
  });

  test(`${kind}: a certificate that was revoked is not given out again for its idempotency key`, async () => {
    await using database = await open();
    const idempotency = { key: "east/csr/1", digest: sha256("1") };
    const { serial } = await intendOne(database, draft({ idempotency }));
    await database.state.revoke([serial], "unspecified", act());
    assert.deepEqual(await database.ledger.intend([draft({ idempotency })]), [
      { kind: "suspended", what: "certificate" },
    ]);
  });

  test(`${kind}: a CRL's number only grows`, async () => {
    await using database = await open();
    const { state } = database;
    const crl: CrlRecord = {
      authority: "root-1",
      number: 1,
      revocations: 0,
      thisUpdate: time,
      nextUpdate: later,
      crl: sha256("crl"),
    };
    await state.keepCrl(crl, act({ verb: "issue-crl" }));
    await state.keepCrl({ ...crl, authority: "root-2", number: 5 }, act());
    await assert.rejects(state.keepCrl({ ...crl, crl: sha256("other") }, act()), { code: "not-ready" });
    await state.keepCrl({ ...crl, number: 2, revocations: 7 }, act());
    await assert.rejects(state.keepCrl(crl, act()), { code: "not-ready" });
    assert.deepEqual(
      plain(await state.crls()),
      plain([
        { ...crl, number: 2, revocations: 7 },
        { ...crl, authority: "root-2", number: 5 },
      ]),
    );
    assert.equal((await verbsOf(database)).length, 3);
  });
}
