/** Every durable write fails both ways: lost, and kept though it was reported lost. Afterwards all that was promised is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { Signer } from "../../src/custody/signer.ts";
import type { WriteName } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import type { Draft, Intent } from "../../src/ledger/ledger.ts";
import { act, draft, sha256 } from "./drafts.ts";
import { assertSound, verifyAll } from "./ledger.ts";

export type Outcome = "lost" | "kept";

export interface Fault {
  /** What is to become of this write; each one is asked about once. */
  decide(name: WriteName): Outcome | "done";
  /** From now on, the named write fails this often. */
  arm(name: WriteName, outcome: Outcome, times?: number): void;
  /** How often it did. */
  count(): number;
}

export function createFault(): Fault {
  let armed: { name: WriteName; outcome: Outcome; left: number } | undefined;
  let count = 0;
  return {
    decide(name) {
      if (armed?.name !== name || armed.left === 0) return "done";
      armed.left -= 1;
      count += 1;
      return armed.outcome;
    },
    arm(name, outcome, times = 1) {
      armed = { name, outcome, left: times };
    },
    count: () => count,
  };
}

/** Asks until it is granted, as a client that is told UNAVAILABLE does. Anything else is a failure. */
async function retried<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error && error.code === "unavailable", String(error));
    return ask();
  }
}

/** An issuer's day: everything that writes, once or more. Returns what was promised. */
async function day(open: () => Promise<Database>, signer: Signer): Promise<readonly Intent[]> {
  await using database = await retried(open);
  const promised: Intent[] = [];
  async function issue(made: Draft): Promise<void> {
    const [answer] = await retried(() => database.ledger.intend([made]));
    assert.ok(answer?.kind === "intent" || answer?.kind === "replay", String(answer?.kind));
    database.ledger.record(answer.intent, sha256("signature"));
    promised.push(answer.intent);
  }
  const keyed = (key: string, log = "shop") => draft({ log, idempotency: { key, digest: sha256(key) } });
  const sequencer = await retried(() => database.startSequencer(signer, { intervalMs: 1e6 }));
  await issue(keyed("1"));
  await setTimeout(10);
  await issue(keyed("2", "bank"));
  await retried(() => database.state.setSuspended({ kind: "tenant", name: "bank" }, true, act()));
  await retried(() => sequencer.sequence());
  await issue(keyed("3"));
  await retried(() => database.state.setSuspended({ kind: "tenant", name: "bank" }, false, act()));
  await setTimeout(10);
  await retried(() => sequencer.sequence());
  await issue(keyed("1"));
  return promised;
}

const names: readonly WriteName[] = ["migrate", "epoch", "intend", "record", "place", "head", "state"];

/** `prepare` makes a place for a new database and returns what opens it, again and again. */
export function faultContract(
  kind: string,
  prepare: () => Promise<(fault?: Fault) => Promise<Database>>,
  signer: Signer,
): void {
  for (const name of names) {
    for (const outcome of ["lost", "kept"] as const) {
      test(`${kind}: a write of kind "${name}" that fails and is ${outcome} breaks no promise`, async () => {
        const fault = createFault();
        fault.arm(name, outcome);
        const open = await prepare();
        const promised = await day(() => open(fault), signer);
        assert.equal(fault.count(), 1);
        await using database = await open();
        await assertSound(database);
        for (const intent of promised) {
          const found = await database.ledger.findSerial(intent.serial);
          assert.equal(found?.intent.id, intent.id);
          assert.ok(found.signature, "a signature that was recorded is there");
        }
        const reports = await verifyAll(database);
        assert.deepEqual([reports.get("shop")?.entries, reports.get("bank")?.entries], [2, 1]);
        assert.equal(reports.get("@hub")?.entries, 2);
        assert.deepEqual(await database.state.suspensions(), []);
      });
    }
  }

  /** Each change fails once and is said again; what is seen is all of it or nothing, and then all. */
  async function changed(
    fault: Fault,
    outcome: Outcome,
    seen: () => Promise<string>,
    changes: readonly (readonly [change: () => Promise<unknown>, before: string, after: string])[],
  ): Promise<void> {
    for (const [change, before, after] of changes) {
      fault.arm("state", outcome);
      await assert.rejects(change(), { code: "unavailable" });
      assert.equal(await seen(), outcome === "lost" ? before : after);
      await change();
      assert.equal(await seen(), after);
    }
  }

  for (const outcome of ["lost", "kept"] as const) {
    test(`${kind}: what is taken back by a write that fails and is ${outcome} is taken back whole or not at all`, async () => {
      const fault = createFault();
      const open = await prepare();
      await using database = await open(fault);
      const { state, ledger } = database;
      const [one, two] = [draft(), draft()];
      await ledger.intend([one, two]);
      const certificate = { serial: sha256("ca"), log: "shop", authority: "root", notAfter: new Date("2030-01-01") };
      const times = { notBefore: new Date(0), notAfter: certificate.notAfter };
      const record = { id: one.authority, kind: "tenant", owner: "shop", state: "active", algorithm: "P-256" } as const;
      await state.addAuthority({ ...record, ...times, keyName: "a", certificate: sha256("a"), parent: "root" }, act());
      const name = `shop/${one.identity}`;
      const seen = async (): Promise<string> => {
        const denied = (await state.suspensions()).length;
        const revoked = (await state.lastRevocations(10)).length;
        return `${denied} ${revoked} ${(await state.authorities())[0]?.state}`;
      };
      await changed(fault, outcome, seen, [
        [async () => await state.setSuspended({ kind: "workload", name }, true, act()), "0 0 active", "1 0 active"],
        [async () => await state.revoke([one.serial, two.serial], "unspecified", act()), "1 0 active", "1 2 active"],
        [
          async () => await state.revokeAuthority(one.authority, { ...certificate, reason: "cACompromise" }, act()),
          "1 2 active",
          "1 3 revoked",
        ],
      ]);
      await assertSound(database);
    });

    test(`${kind}: a change of a cluster's keys that fails and is ${outcome} is there whole or not at all`, async () => {
      const fault = createFault();
      const open = await prepare();
      await using database = await open(fault);
      const { state } = database;
      const keys = ["a", "b"].map((keyThumbprint) => ({ cluster: "east", keyThumbprint, jwk: "{}" }));
      const proposal = { cluster: "east", state: "pending", keys, proposedAt: new Date(0) } as const;
      const seen = async (): Promise<string> => {
        const [last] = await state.keyProposals();
        const registered = (await state.registeredKeys()).map(({ keyThumbprint }) => keyThumbprint);
        return `${last?.state ?? "none"}: ${registered.sort().join(" ")}`;
      };
      await changed(fault, outcome, seen, [
        [async () => await state.proposeKeys(proposal, act()), "none: ", "pending: "],
        [async () => await state.approveKeys("east", ["a", "b"], act()), "pending: ", "approved: a b"],
        [async () => await state.removeKeys("east", ["a"], act()), "approved: a b", "rejected: b"],
      ]);
      await assertSound(database);
    });
  }
}
