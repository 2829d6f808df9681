/** What any database's ledger promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Database } from "../../src/ledger/database.ts";
import { readEntry } from "../../src/ledger/entry.ts";
import type { Draft, EntryFilter, Intended, Intent, LogReport } from "../../src/ledger/ledger.ts";
import { act, draft, sha256 } from "./drafts.ts";

/** Opens a new, empty database. */
export type OpenDatabase = (now?: () => Date) => Promise<Database>;

export async function intendOne(database: Pick<Database, "ledger">, made: Draft = draft()): Promise<Intent> {
  const [answer] = await database.ledger.intend([made]);
  if (answer?.kind !== "intent") throw new Error(`not an intent but ${answer?.kind}`);
  return answer.intent;
}

/** The last report of each log. */
export async function verifyAll(database: Database, log?: string): Promise<ReadonlyMap<string, LogReport>> {
  const reports = new Map<string, LogReport>();
  for await (const report of database.ledger.verify(log)) reports.set(report.log, report);
  for (const report of reports.values()) assert.ok(report.done);
  return reports;
}

export async function assertSound(database: Database): Promise<void> {
  for (const { log, faults } of (await verifyAll(database)).values()) assert.deepEqual(faults, [], log);
}

/** The verbs of the acts, oldest first. */
export async function verbsOf({ ledger }: Pick<Database, "ledger">): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { body } of ledger.entries({ limit: 1000 })) {
    const entry = body.length === 0 ? undefined : readEntry(body);
    if (entry?.kind === "act") found.unshift(entry.act.verb);
  }
  return found;
}

/** A signature is behind its reply: it is there when the ledger was given the time it asked for. */
async function recorded(database: Database, intent: Intent): Promise<Uint8Array | undefined> {
  for (let tries = 0; tries < 10_000; tries += 1) {
    const found = await database.ledger.findSerial(intent.serial);
    if (found?.signature !== undefined) return found.signature;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}

const key = { key: "east/istio/uid-1", digest: sha256("digest") };
const kinds = (answers: readonly Intended[]) => answers.map(({ kind }) => kind);

export function ledgerContract(kind: string, open: OpenDatabase): void {
  test(`${kind}: an intent is its draft, and is found by its serial`, async () => {
    await using database = await open();
    const made = draft({ renewableSince: new Date("2026-11-01T00:00:00Z"), idempotency: key });
    const { id, ...rest } = await intendOne(database, made);
    assert.deepEqual(rest, made);
    const found = await database.ledger.findSerial(made.serial);
    assert.equal(found?.intent.id, id);
    assert.equal(found?.signature, undefined);
    assert.deepEqual(plain(found?.intent), plain({ ...made, id }));
    assert.equal(await database.ledger.findSerial(draft().serial), undefined);
  });

  test(`${kind}: a recorded signature is found behind its intent, and the first one stays`, async () => {
    await using database = await open();
    const intent = await intendOne(database);
    database.ledger.record(intent, sha256("first"));
    assert.deepEqual(plain(await recorded(database, intent)), plain(sha256("first")));
    database.ledger.record(intent, sha256("second"));
    await intendOne(database);
    assert.deepEqual(plain(await recorded(database, intent)), plain(sha256("first")));
  });

  test(`${kind}: answers come in the order of the drafts, over calls made at once`, async () => {
    await using database = await open();
    const calls = Array.from({ length: 40 }, (_, call) =>
      Array.from({ length: (call % 7) + 1 }, (_, index) => draft({ identity: `${call}/${index}` })),
    );
    const answers = await Promise.all(calls.map((drafts) => database.ledger.intend(drafts)));
    const identities = answers.map((call) => call.map((answer) => "intent" in answer && answer.intent.identity));
    assert.deepEqual(
      identities,
      calls.map((drafts) => drafts.map(({ identity }) => identity)),
    );
    assert.deepEqual(await database.ledger.intend([]), []);
  });

  test(`${kind}: a serial that is taken fails its own call and no other`, async () => {
    await using database = await open();
    const taken = draft();
    const answers = await Promise.allSettled([
      database.ledger.intend([taken]),
      database.ledger.intend([draft(), { ...draft(), serial: taken.serial }]),
      database.ledger.intend([draft()]),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.match(String(answers[1]?.status === "rejected" && answers[1].reason), /serial/);
  });

  test(`${kind}: a second request of one idempotency key is a replay, with the signature if there is one`, async () => {
    await using database = await open();
    const first = await intendOne(database, draft({ idempotency: key }));
    const [replay] = await database.ledger.intend([draft({ idempotency: key })]);
    assert.deepEqual(plain(replay), plain({ kind: "replay", intent: first }));
    database.ledger.record(first, sha256("signature"));
    await recorded(database, first);
    const [later] = await database.ledger.intend([draft({ idempotency: key })]);
    assert.deepEqual(plain(later), plain({ kind: "replay", intent: first, signature: sha256("signature") }));
  });

  test(`${kind}: another digest under one key differs, and two of one batch are one intent`, async () => {
    await using database = await open();
    const other = { ...key, digest: sha256("another") };
    const drafts = [draft({ idempotency: key }), draft({ idempotency: key }), draft({ idempotency: other })];
    assert.deepEqual(kinds(await database.ledger.intend(drafts)), ["intent", "replay", "replay-differs"]);
    let entries = 0;
    for await (const _ of database.ledger.entries({ limit: 10 })) entries += 1;
    assert.equal(entries, 1);
  });

  test(`${kind}: what is suspended gets nothing, from the next draft on, and gets it again when it is not`, async () => {
    await using database = await open();
    const ours = draft({ idempotency: key });
    await intendOne(database, ours);
    const batch = () => [
      draft({ idempotency: key }),
      draft(),
      draft({ log: "bank" }),
      draft({ log: "@hub", cluster: "" }),
    ];
    await database.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
    assert.deepEqual(kinds(await database.ledger.intend(batch())), ["suspended", "suspended", "intent", "intent"]);
    await database.state.setSuspended({ kind: "tenant", name: "shop" }, false, act());
    await database.state.setSuspended({ kind: "cluster", name: "east" }, true, act());
    const [answer, , bank, hub] = await database.ledger.intend(batch());
    assert.deepEqual(answer, { kind: "suspended", what: "cluster" });
    assert.deepEqual([bank?.kind, hub?.kind], ["suspended", "intent"]);
    await database.state.setSuspended({ kind: "cluster", name: "east" }, false, act());
    assert.deepEqual(kinds(await database.ledger.intend(batch())), ["replay", "intent", "intent", "intent"]);
  });

  test(`${kind}: a replay is refused when what it was intended for is suspended, whoever asks`, async () => {
    await using database = await open();
    await intendOne(database, draft({ idempotency: key }));
    await database.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
    const [answer] = await database.ledger.intend([draft({ log: "bank", idempotency: key })]);
    assert.deepEqual(answer, { kind: "suspended", what: "tenant" });
  });

  test(`${kind}: from the moment a suspension returns nothing is written, whenever it was asked for`, async () => {
    await using database = await open();
    const count = async () => (await verifyAll(database, "shop")).get("shop")?.entries;
    let granted = 0;
    const some = Promise.withResolvers<void>();
    const asking = Array.from({ length: 4 }, async () => {
      // Until it is refused; whoever was on the way when the verb returned is refused or was there before.
      for (; granted < 100_000; granted += 1) {
        const [answer] = await database.ledger.intend([draft()]);
        if (answer?.kind === "suspended") return;
        if (granted > 20) some.resolve();
      }
    });
    await some.promise;
    await database.state.setSuspended({ kind: "tenant", name: "shop" }, true, act());
    const before = await count();
    await Promise.all(asking);
    assert.deepEqual([await count(), before], [granted, granted]);
  });

  test(`${kind}: entries come newest first, filtered and limited`, async () => {
    await using database = await open();
    const list = async (filter: Omit<Parameters<Database["ledger"]["entries"]>[0], "limit">, limit = 100) => {
      const found: string[] = [];
      for await (const entry of database.ledger.entries({ ...filter, limit }))
        found.push(entry.authority ?? entry.kind);
      return found;
    };
    const signed = await intendOne(database, draft({ authority: "a1", identity: "i1" }));
    await intendOne(database, draft({ authority: "a2", identity: "i2", cluster: "west" }));
    await intendOne(database, draft({ authority: "a3", identity: "i1", log: "bank" }));
    await database.state.setSuspended({ kind: "tenant", name: "x" }, true, act());
    database.ledger.record(signed, sha256("signature"));
    await recorded(database, signed);
    assert.deepEqual(await list({}), ["act", "a3", "a2", "a1"]);
    assert.deepEqual(await list({}, 2), ["act", "a3"]);
    assert.deepEqual(await list({ log: "shop" }), ["a2", "a1"]);
    assert.deepEqual(await list({ identity: "i1" }), ["a3", "a1"]);
    assert.deepEqual(await list({ cluster: "west", log: "shop" }), ["a2"]);
    assert.deepEqual(await list({ unrecordedOnly: true }), ["a3", "a2"]);
  });

  test(`${kind}: a name that is SQL is a name, wherever it is written or asked for`, async () => {
    await using database = await open();
    const { ledger, state } = database;
    const listed = async (filter: Omit<EntryFilter, "limit">): Promise<readonly unknown[]> => {
      const found: unknown[] = [];
      for await (const { tbs } of ledger.entries({ ...filter, limit: 100 })) found.push(plain(tbs));
      return found;
    };
    const names = [
      "x' OR '1'='1",
      "x'; DROP TABLE entries; --",
      'x" UNION SELECT 1 --',
      "$1",
      "?",
      "\\'; --",
      "%",
      "_",
    ];
    const kept = await intendOne(database);
    for (const name of names) {
      for (const filter of [{ log: name }, { identity: name }, { cluster: name }])
        assert.deepEqual(await listed(filter), [], name);
      for (const id of [name, `${name}/0`, `shop/${name}`]) assert.equal(await ledger.entry(id), undefined, id);
    }
    for (const name of names) {
      const made = await intendOne(database, draft({ log: name, identity: name, cluster: name, rule: name }));
      assert.deepEqual(await listed({ log: name, identity: name, cluster: name }), [plain(made.tbs)], name);
      await state.setSuspended({ kind: "cluster", name }, true, act({ operator: name, reason: name }));
      const [answer] = await ledger.intend([draft({ cluster: name })]);
      assert.equal(answer?.kind, "suspended", name);
    }
    const suspended = (await state.suspensions()).map(({ name }) => name);
    assert.deepEqual([...suspended].sort(), [...names].sort());
    assert.deepEqual(await listed({ cluster: "east" }), [plain(kept.tbs)]);
    await assertSound(database);
  });

  test(`${kind}: an entry is found by its serial in hex, and says what was written`, async () => {
    await using database = await open();
    const made = draft();
    await intendOne(database, made);
    const entry = await database.ledger.entry(Buffer.from(made.serial).toString("hex"));
    assert.deepEqual(plain(entry?.tbs), plain(made.tbs));
    assert.equal(entry?.position, undefined);
    assert.deepEqual([entry?.log, entry?.kind, entry?.authority], ["shop", "intent", "tenant/shop/1"]);
    for (const id of ["", "/", "shop/0", "ff", "zz", "shop/-1", "shop/1e3"]) {
      assert.equal(await database.ledger.entry(id), undefined, id);
    }
  });

  test(`${kind}: verification counts entries and unrecorded intents of each log`, async () => {
    await using database = await open();
    const intent = await intendOne(database);
    await intendOne(database);
    await intendOne(database, draft({ log: "bank" }));
    await database.state.setSuspended({ kind: "tenant", name: "x" }, true, act());
    database.ledger.record(intent, sha256("signature"));
    await recorded(database, intent);
    await assertSound(database);
    const reports = await verifyAll(database);
    const counts = [...reports.values()].map(({ log, entries, unrecorded }) => [log, entries, unrecorded]);
    assert.deepEqual(counts, [
      ["@ledger", 0, 0],
      ["@hub", 1, 0],
      ["bank", 1, 1],
      ["shop", 2, 1],
    ]);
    assert.deepEqual([...(await verifyAll(database, "bank")).keys()], ["@ledger", "bank"]);
  });

  test(`${kind}: a signature that its authority did not make is named`, async () => {
    await using database = await open();
    const intent = await intendOne(database);
    database.ledger.record(intent, sha256("signature"));
    await recorded(database, intent);
    const asked: unknown[] = [];
    const faults: string[] = [];
    const check = (...args: readonly unknown[]) => asked.push(args) === 0;
    for await (const report of database.ledger.verify(undefined, check)) faults.push(...report.faults);
    assert.deepEqual(plain(asked), plain([[intent.authority, intent.tbs, sha256("signature")]]));
    assert.match(faults.join(), /its signature is not tenant\/shop\/1's/);
  });

  test(`${kind}: what waits is written before a close, and afterwards nothing is`, async () => {
    const database = await open();
    const intent = await intendOne(database);
    database.ledger.record(intent, sha256("signature"));
    const waiting = database.ledger.intend([draft()]);
    await database[Symbol.asyncDispose]();
    assert.deepEqual(kinds(await waiting), ["intent"]);
    assert.equal(database.counts().recordsDropped, 0);
    await assert.rejects(database.ledger.intend([draft()]), { code: "unavailable" });
    await assert.rejects(database.state.suspensions(), { code: "unavailable" });
    database.ledger.record(intent, sha256("late"));
    assert.equal(database.counts().recordsDropped, 1);
  });
}

/** Bytes compare as hex, whether they are a Buffer or not. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, member: unknown) => toHex(member)) ?? "null");
}

function toHex(member: unknown): unknown {
  const isBuffer = typeof member === "object" && member !== null && "type" in member && member.type === "Buffer";
  if (isBuffer && "data" in member && Array.isArray(member.data)) return Buffer.from(member.data).toString("hex");
  return member instanceof Uint8Array ? Buffer.from(member).toString("hex") : member;
}
