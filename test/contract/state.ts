/** What any database's made state promises. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readEntry } from "../../src/ledger/entry.ts";
import type { AuthorityRecord, JoinTokenRecord, KeyProposal, OperatorRecord } from "../../src/ledger/state.ts";
import { act, authority as authorityOf, sha256 } from "./drafts.ts";
import { type OpenDatabase, plain, verbsOf } from "./ledger.ts";

const time = new Date("2026-11-21T11:00:00.123Z");
const later = new Date("2026-11-21T12:00:00Z");

function authority(overrides: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return authorityOf({ id: "shop-1", ...overrides });
}

function token(overrides: Partial<JoinTokenRecord> = {}): JoinTokenRecord {
  return { tokenSha256: sha256("t"), cluster: "east", keyThumbprint: "thumb", expiresAt: later, ...overrides };
}

const key = { cluster: "east", keyThumbprint: "thumb", jwk: "{}" };

function proposal(keys: readonly string[], cluster = "east"): KeyProposal {
  const all = keys.map((keyThumbprint) => ({ cluster, keyThumbprint, jwk: "{}" }));
  return { cluster, state: "pending", keys: all, proposedAt: time };
}

function thumbprints(keys: KeyProposal["keys"]): readonly string[] {
  return keys.map(({ keyThumbprint }) => keyThumbprint).sort();
}

export function stateContract(kind: string, open: OpenDatabase): void {
  test(`${kind}: an act is written down as it was said, with its time`, async () => {
    await using database = await open(() => time);
    const said = act({ log: "shop", details: { b: "2", a: "é\n", __proto__x: "" } });
    await database.state.act(said);
    for await (const { kind, log, body } of database.ledger.entries({ limit: 1 })) {
      assert.deepEqual([kind, log], ["act", "shop"]);
      assert.deepEqual(readEntry(body), { kind: "act", act: said, time: new Date("2026-11-21T11:00:00Z") });
    }
  });

  test(`${kind}: authorities are kept as they were added, with their acts`, async () => {
    await using database = await open();
    const { parent: _, ...root } = authority({ id: "root-1", kind: "root", owner: "main" });
    await database.state.addAuthority(root, act({ verb: "root" }));
    await database.state.addAuthority(authority(), act({ verb: "authority" }));
    assert.deepEqual(plain(await database.state.authorities()), plain([root, authority()]));
    assert.deepEqual(await verbsOf(database), ["root", "authority"]);
  });

  test(`${kind}: one id is one authority, and one owner has one active and one prepared; a refusal leaves no act`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addAuthority(authority(), act());
    const prepared = authority({ state: "prepared" });
    await assert.rejects(state.addAuthority(prepared, act()), { code: "not-ready" });
    await assert.rejects(state.addAuthority(authority({ id: "shop-2" }), act()), { code: "not-ready" });
    await state.addAuthority({ ...prepared, id: "shop-2" }, act());
    await assert.rejects(state.addAuthority({ ...prepared, id: "shop-3" }, act()), { code: "not-ready" });
    const follows = (active: string | undefined) =>
      state.addAuthority({ ...prepared, id: "bank-2", owner: "bank" }, act(), { active });
    await assert.rejects(follows("bank-1"), { code: "not-ready" });
    await state.addAuthority(authority({ id: "bank-1", owner: "bank" }), act());
    await assert.rejects(follows(undefined), { code: "not-ready" });
    await follows("bank-1");
    await state.addAuthority(authority({ id: "east-1", kind: "serving" }), act());
    assert.equal((await state.authorities()).length, 5);
    assert.equal((await verbsOf(database)).length, 5);
  });

  test(`${kind}: a tenant has one authority that waits for its certificate; the answer takes its place in one write`, async () => {
    await using database = await open();
    const { state } = database;
    const { parent: _, ...root } = authority({ id: "root-1", kind: "root", owner: "main", keyName: "" });
    await state.addAuthority(root, act({ verb: "root" }));
    const request = { id: "shop-1", tenant: "shop", root: "root-1", algorithm: "P-256", csr: sha256("csr") } as const;
    const waiting = { ...request, validityDays: 30, requestedAt: time };
    await state.addAuthorityRequest(waiting, act({ verb: "ask" }));
    assert.deepEqual(plain(await state.authorityRequests()), plain([waiting]));
    await assert.rejects(state.addAuthorityRequest({ ...waiting, id: "shop-2" }, act()), { code: "not-ready" });
    const answer = authority({ state: "prepared" });
    await assert.rejects(state.answerAuthorityRequest({ ...answer, id: "shop-2" }, act()), { code: "not-ready" });
    assert.equal(await state.withdrawAuthorityRequest("shop-2", act()), false);
    await state.answerAuthorityRequest(answer, act({ verb: "answer" }));
    assert.deepEqual(plain(await state.authorities()), plain([root, answer]));
    assert.deepEqual(await state.authorityRequests(), []);
    await assert.rejects(state.answerAuthorityRequest(answer, act()), { code: "not-ready" });
    await state.addAuthorityRequest({ ...waiting, id: "shop-2" }, act({ verb: "ask again" }));
    // Another one is prepared: the request stays when its answer cannot be taken.
    await assert.rejects(state.answerAuthorityRequest({ ...answer, id: "shop-2" }, act()), { code: "not-ready" });
    assert.equal((await state.authorityRequests()).length, 1);
    assert.equal(await state.withdrawAuthorityRequest("shop-2", act({ verb: "withdraw" })), true);
    assert.deepEqual(await verbsOf(database), ["root", "ask", "answer", "ask again", "withdraw"]);
  });

  test(`${kind}: one authority takes another's place in one write; whoever comes second changes nothing`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addAuthority(authority(), act({ verb: "add" }));
    await state.addAuthority(authority({ id: "shop-2", state: "prepared" }), act({ verb: "add" }));
    const states = async () => (await state.authorities()).map((one) => `${one.id} ${one.state}`);
    const retire = { id: "shop-1", from: "active", to: "retiring" } as const;
    const activate = { id: "shop-2", from: "prepared", to: "active" } as const;
    // Two at once would both sign; the first change is undone with the second.
    await assert.rejects(state.setAuthorityStates([activate], act()), { code: "not-ready" });
    await assert.rejects(state.setAuthorityStates([retire, { ...activate, from: "retired" }], act()), {
      code: "not-ready",
    });
    await assert.rejects(state.setAuthorityStates([{ ...retire, id: "shop-9" }], act()), { code: "not-ready" });
    assert.deepEqual(await states(), ["shop-1 active", "shop-2 prepared"]);
    const both = [0, 1].map(() => state.setAuthorityStates([retire, activate], act({ verb: "activate" })));
    const settled = await Promise.allSettled(both);
    assert.deepEqual(settled.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    assert.deepEqual(await states(), ["shop-1 retiring", "shop-2 active"]);
    assert.deepEqual(await verbsOf(database), ["add", "add", "activate"]);
  });

  test(`${kind}: a join token registers its key once`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act({ verb: "token" }));
    assert.deepEqual(plain(await state.joinToken(sha256("t"))), plain(token()));
    await state.useJoinToken(sha256("t"), key, time, act({ verb: "join" }));
    assert.deepEqual(await state.registeredKeys(), [key]);
    assert.deepEqual(plain(await state.joinToken(sha256("t"))), plain(token({ usedAt: time })));
    await assert.rejects(state.useJoinToken(sha256("t"), key, time, act()), { code: "proof-invalid" });
    assert.deepEqual(await verbsOf(database), ["token", "join"]);
    await assert.rejects(state.addJoinToken(token(), act()), { code: "not-ready" });
  });

  test(`${kind}: a join token is refused when it is unknown, expired, another cluster's or another key's`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act());
    const refused = { code: "proof-invalid" };
    await assert.rejects(state.useJoinToken(sha256("u"), key, time, act()), refused);
    await assert.rejects(state.useJoinToken(sha256("t"), key, later, act()), refused);
    await assert.rejects(state.useJoinToken(sha256("t"), { ...key, cluster: "west" }, time, act()), refused);
    await assert.rejects(state.useJoinToken(sha256("t"), { ...key, keyThumbprint: "other" }, time, act()), refused);
    assert.deepEqual(await state.registeredKeys(), []);
    assert.equal(await state.joinToken(sha256("u")), undefined);
  });

  test(`${kind}: a key belongs to one cluster, and a token that met another's is not used up`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act());
    await state.addJoinToken(token({ tokenSha256: sha256("w"), cluster: "west" }), act());
    await state.useJoinToken(sha256("t"), key, time, act());
    const stolen = state.useJoinToken(sha256("w"), { ...key, cluster: "west" }, time, act());
    await assert.rejects(stolen, { code: "not-this-caller" });
    assert.equal((await state.joinToken(sha256("w")))?.usedAt, undefined);
    assert.deepEqual(await state.registeredKeys(), [key]);
  });

  test(`${kind}: a proposal changes no key until it is approved, and then it is all the keys there are`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act({ verb: "token" }));
    await state.useJoinToken(sha256("t"), key, time, act({ verb: "join" }));
    assert.equal(await state.proposeKeys(proposal(["next", "thumb"]), act({ verb: "propose" })), true);
    assert.deepEqual(plain(await state.keyProposals()), plain([proposal(["next", "thumb"])]));
    assert.deepEqual(await state.registeredKeys(), [key]);
    await state.approveKeys("east", ["thumb", "next"], act({ verb: "approve" }));
    assert.deepEqual(thumbprints(await state.registeredKeys()), ["next", "thumb"]);
    await state.proposeKeys(proposal(["next"]), act({ verb: "propose" }));
    assert.deepEqual(thumbprints(await state.registeredKeys()), ["next", "thumb"]);
    await state.approveKeys("east", ["next"], act({ verb: "approve" }));
    assert.deepEqual(thumbprints(await state.registeredKeys()), ["next"]);
    assert.equal((await state.keyProposals())[0]?.state, "approved");
    assert.deepEqual(await verbsOf(database), ["token", "join", "propose", "approve", "propose", "approve"]);
  });

  test(`${kind}: what is approved is exactly what is proposed, or nothing`, async () => {
    await using database = await open();
    const { state } = database;
    const refused = { code: "not-ready" };
    await assert.rejects(state.approveKeys("east", ["a"], act()), refused);
    await assert.rejects(state.approveKeys("east", [], act()), refused);
    await state.proposeKeys(proposal(["a", "b"]), act({ verb: "propose" }));
    for (const wrong of [["a"], ["a", "b", "c"], ["a", "c"], ["a", "a"], []]) {
      await assert.rejects(state.approveKeys("east", wrong, act()), refused);
    }
    await assert.rejects(state.approveKeys("west", ["a", "b"], act()), refused);
    assert.deepEqual(await state.registeredKeys(), []);
    assert.deepEqual(await verbsOf(database), ["propose"]);
  });

  test(`${kind}: an approval that meets another cluster's key changes nothing at all`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act({ verb: "token" }));
    await state.useJoinToken(sha256("t"), key, time, act({ verb: "join" }));
    await state.proposeKeys(proposal(["a"], "west"), act({ verb: "propose" }));
    await state.approveKeys("west", ["a"], act({ verb: "approve" }));
    await state.proposeKeys(proposal(["b", "thumb"], "west"), act({ verb: "propose" }));
    await assert.rejects(state.approveKeys("west", ["b", "thumb"], act()), { code: "not-this-caller" });
    assert.deepEqual(thumbprints(await state.registeredKeys()), ["a", "thumb"]);
    assert.equal((await state.keyProposals())[0]?.state, "pending");
  });

  test(`${kind}: what was proposed already is not written again, whatever became of it`, async () => {
    await using database = await open();
    const { state } = database;
    await state.proposeKeys(proposal(["a", "b"]), act({ verb: "propose" }));
    assert.equal(await state.proposeKeys(proposal(["b", "a"]), act()), false);
    assert.equal(await state.rejectKeys("east", act({ verb: "reject" })), true);
    assert.equal(await state.rejectKeys("east", act()), false);
    assert.equal(await state.rejectKeys("west", act()), false);
    assert.equal(await state.proposeKeys(proposal(["a", "b"]), act()), false);
    assert.equal((await state.keyProposals())[0]?.state, "rejected");
    assert.equal(await state.proposeKeys(proposal(["a"]), act({ verb: "propose" })), true);
    assert.deepEqual(plain(await state.keyProposals()), plain([proposal(["a"])]));
    assert.deepEqual(await verbsOf(database), ["propose", "reject", "propose"]);
  });

  test(`${kind}: a key is taken away with the join tokens and the proposal that could bring it back`, async () => {
    await using database = await open();
    const { state } = database;
    await state.addJoinToken(token(), act({ verb: "token" }));
    await state.addJoinToken(token({ tokenSha256: sha256("again") }), act({ verb: "token" }));
    await state.addJoinToken(token({ tokenSha256: sha256("other"), keyThumbprint: "other" }), act({ verb: "token" }));
    await state.useJoinToken(sha256("t"), key, time, act({ verb: "join" }));
    await state.proposeKeys(proposal(["next", "thumb"]), act({ verb: "propose" }));
    assert.equal(await state.removeKeys("west", ["thumb"], act()), false);
    assert.equal(await state.removeKeys("east", ["nothing"], act()), false);
    assert.equal(await state.removeKeys("east", ["thumb"], act({ verb: "remove" })), true);
    assert.deepEqual(await state.registeredKeys(), []);
    assert.equal((await state.keyProposals())[0]?.state, "rejected");
    assert.equal(await state.joinToken(sha256("again")), undefined);
    assert.ok(await state.joinToken(sha256("other")));
    assert.ok(await state.joinToken(sha256("t")), "a used one is history");
    assert.equal(await state.removeKeys("east", undefined, act({ verb: "remove" })), true);
    assert.equal(await state.joinToken(sha256("other")), undefined);
    assert.equal(await state.removeKeys("east", undefined, act()), false);
    assert.deepEqual(await verbsOf(database), ["token", "token", "token", "join", "propose", "remove", "remove"]);
  });

  test(`${kind}: fetched keys are kept as they were last`, async () => {
    await using database = await open();
    const { state } = database;
    const fetched = { ...key, url: "https://east.example/jwks" };
    await state.keepFetchedKeys([fetched, { ...fetched, cluster: "west", keyThumbprint: "other" }]);
    await state.keepFetchedKeys([fetched]);
    assert.deepEqual(await state.fetchedKeys(), [fetched]);
    assert.deepEqual(await verbsOf(database), []);
  });

  test(`${kind}: a suspension that changes nothing writes nothing`, async () => {
    await using database = await open();
    const { state } = database;
    const shop = { kind: "tenant", name: "shop" } as const;
    assert.equal(await state.setSuspended(shop, false, act({ verb: "resume" })), false);
    assert.equal(await state.setSuspended(shop, true, act({ verb: "suspend" })), true);
    assert.equal(await state.setSuspended(shop, true, act({ verb: "suspend" })), false);
    assert.equal(await state.setSuspended({ kind: "cluster", name: "shop" }, true, act({ verb: "suspend" })), true);
    assert.deepEqual(await state.suspensions(), [
      { kind: "cluster", name: "shop", source: "operator" },
      { ...shop, source: "operator" },
    ]);
    assert.equal(await state.setSuspended(shop, false, act({ verb: "resume" })), true);
    assert.deepEqual(await verbsOf(database), ["suspend", "suspend", "resume"]);
  });

  test(`${kind}: an agent's newest acknowledgement stands`, async () => {
    await using database = await open();
    const first = { cluster: "east", agent: "a-0", version: "b1", inForceSince: time, bundles: [] };
    await database.state.acknowledge(first);
    await database.state.acknowledge({ ...first, agent: "a-1" });
    await database.state.acknowledge({ ...first, version: "b2", inForceSince: later });
    // Said again, as after every reconnect, it has been in force for as long as before: settle times go by that.
    await database.state.acknowledge({ ...first, agent: "a-1", inForceSince: later });
    assert.deepEqual(await database.state.acknowledgements(), [
      { ...first, version: "b2", inForceSince: later },
      { ...first, agent: "a-1" },
    ]);
  });

  test(`${kind}: of one cluster's agents the newest are kept, and another cluster's are not touched`, async () => {
    await using database = await open();
    const west = { cluster: "west", agent: "a-0", version: "b1", inForceSince: time, bundles: [] };
    await database.state.acknowledge(west);
    for (let i = 0; i < 70; i++) {
      const inForceSince = new Date(later.getTime() + i);
      await database.state.acknowledge({ cluster: "east", agent: `a-${i}`, version: "b1", inForceSince, bundles: [] });
    }
    const kept = await database.state.acknowledgements();
    assert.equal(kept.length, 65);
    assert.deepEqual(kept.at(-1), west);
    assert.equal(
      kept.some(({ cluster, agent }) => cluster === "east" && agent === "a-5"),
      false,
    );
    assert.ok(kept.some(({ agent }) => agent === "a-6"));
  });

  test(`${kind}: an operator is a name with one role and one key; revoked once, and there again when made anew`, async () => {
    await using database = await open(() => time);
    const { state } = database;
    const alice: OperatorRecord = { name: "alice", role: "viewer", keySha256: sha256("alice"), madeAt: time };
    await state.setOperator(alice, act({ verb: "create" }));
    await state.setOperator({ ...alice, role: "admin", keySha256: sha256("other") }, act({ verb: "create" }));
    const admin = { ...alice, role: "admin", keySha256: sha256("other") };
    assert.deepEqual(plain(await state.operators()), plain([admin]));
    assert.equal(await state.revokeOperator("alice", later, act({ verb: "revoke" })), true);
    assert.equal(await state.revokeOperator("alice", later, act({ verb: "revoke" })), false);
    assert.deepEqual(plain(await state.operator("alice")), plain({ ...admin, revokedAt: later }));
    await assert.rejects(state.revokeOperator("bob", later, act()), { code: "not-found" });
    assert.equal(await state.operator("bob"), undefined);
    await state.setOperator(alice, act({ verb: "create" }));
    assert.deepEqual(plain(await state.operator("alice")), plain(alice));
    assert.deepEqual(await verbsOf(database), ["create", "create", "revoke", "create"]);
  });
}
