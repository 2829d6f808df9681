import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { openDispatch } from "../../src/issuer/dispatch.ts";
import type { Asked, Outcome } from "../../src/issuer/item.ts";
import { openQuotas } from "../../src/issuer/quota.ts";
import type { Draft, Ledger } from "../../src/ledger/ledger.ts";
import { openMetrics } from "../../src/ops/metrics.ts";
import { openStandingClock } from "../support/clock.ts";
import { checkoutId, podToken } from "../support/documents.ts";
import { openLiveSite } from "../support/live-site.ts";
import { callMs } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startStack } from "../support/stack.ts";
import { refusedCounts } from "../support/traces.ts";
import { assertIssued, csrFor } from "../support/workload.ts";

/** A ledger whose disk answers when it is told to. */
interface SlowLedger extends Ledger {
  readonly calls: readonly (readonly Draft[])[];
  /** Lets so many of the waiting writes through, and returns when they are done and what follows at once has happened. */
  release(count: number): Promise<void>;
}

function slow(ledger: Ledger): SlowLedger {
  const calls: (readonly Draft[])[] = [];
  const held: (() => Promise<unknown>)[] = [];
  return {
    ...ledger,
    calls,
    intend: async (drafts) => {
      if (drafts.length === 0) return [];
      calls.push(drafts);
      return await new Promise((resolve, reject) => {
        held.push(() => ledger.intend(drafts).then(resolve, reject));
      });
    },
    release: async (count) => {
      await Promise.all(held.splice(0, count).map((write) => write()));
      for (let turn = 0; turn < 20; turn++) await setImmediate();
    },
  };
}

test("with a slow disk a storm of one tenant neither starves nor pushes out another", async (t) => {
  using site = await makeSite();
  const clock = openStandingClock();
  await using opened = await openLiveSite(site, clock.now);
  const { database, declared, live, log } = opened;
  const csr = csrFor();
  const mediaCsr = csrFor("spiffe://media.example/ns/media/sa/player");
  const [eastToken, mediaToken] = [podToken(), podToken("east", { namespace: "media", serviceAccount: "player" })];
  const westToken = podToken("west");
  const ask = (
    of: "payments" | "media",
    waitMs = 10_000,
    token = of === "payments" ? eastToken : mediaToken,
  ): Asked => ({
    door: "istio",
    csr: of === "payments" ? csr : mediaCsr,
    validitySeconds: 0,
    signer: "",
    deadline: new Date(clock.now().getTime() + waitMs),
    idempotencyKey: "",
    proof: { kind: "token", token },
  });
  /** Of `media`, within the quota of each token. */
  const stormOf = (count: number): readonly Asked[] => {
    const tokens = Array.from({ length: Math.ceil(count / 500) }, () =>
      podToken("east", { namespace: "media", serviceAccount: "player" }),
    );
    return Array.from({ length: count }, (_, n) => ask("media", 60_000, tokens[n % tokens.length]));
  };
  const open = (queueBytes: number) => {
    const ledger = slow(database.ledger);
    const parts = {
      world: () => live.world(),
      quotas: openQuotas(),
      now: clock.now,
      random: (n: number) => randomBytes(n),
      log,
    };
    return {
      ledger,
      dispatch: openDispatch({ ...parts, ledger, metrics: openMetrics({ process: "issuer" }), queueBytes }),
    };
  };
  /** In their order: each look at a cluster, for a proof and again for a judgement, and each draft that is written. */
  const openCounted = () => {
    const work: string[] = [];
    const ledger: Ledger = {
      ...database.ledger,
      intend: async (drafts) => {
        work.push(...drafts.map((draft) => `write ${draft.log}`));
        return await database.ledger.intend(drafts);
      },
    };
    const world = () => {
      const now = live.world();
      return {
        ...now,
        cluster: (name: string) => {
          work.push(`check ${name}`);
          return now.cluster(name);
        },
      };
    };
    const parts = { world, ledger, quotas: openQuotas(), now: clock.now, random: (n: number) => randomBytes(n), log };
    return {
      work,
      dispatch: openDispatch({ ...parts, metrics: openMetrics({ process: "issuer" }), queueBytes: 2 ** 26 }),
    };
  };
  const count = (outcomes: readonly Outcome[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const outcome of outcomes) {
      const key = outcome.kind === "issued" ? outcome.tenant : `${outcome.refusal.code} ${outcome.tenant}`;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return counts;
  };

  await t.test("whoever comes late is served with the next batches", async () => {
    const { ledger, dispatch } = open(64 * 1024 * 1024);
    const storm = Array.from({ length: 600 }, async () => await dispatch.dispatch(ask("payments"), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    assert.equal(ledger.calls.length, 4, "batches in flight");
    const few = Array.from({ length: 8 }, async () => await dispatch.dispatch(ask("media"), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    await ledger.release(1);
    const next = ledger.calls.slice(4).flat();
    assert.ok(next.length <= 32, `${next.length} in the place of 32`);
    assert.equal(next.filter((draft) => draft.log === "media").length, 8);
    while (dispatch.waiting() > 0) await ledger.release(Infinity);
    await ledger.release(Infinity);
    assert.deepEqual(count(await Promise.all([...storm, ...few])), { payments: 600, media: 8 });
    await dispatch.idle();
  });

  await t.test(
    "behind a storm of another cluster a request waits for a turn of the loop, and not for the storm",
    async () => {
      const { work, dispatch } = openCounted();
      const storm = stormOf(1000).map(async (asked) => await dispatch.dispatch(asked, "east"));
      /** What is done from the time one of `west` arrives until it is admitted, and until it is written. */
      const askLate = async (): Promise<readonly [number, number]> => {
        const before = work.length;
        assert.deepEqual(count([await dispatch.dispatch(ask("payments", 60_000, westToken), "west")]), { payments: 1 });
        const since = work.slice(before);
        return [since.indexOf("check west"), since.indexOf("write payments")];
      };
      const [firstAdmitted, firstWritten] = await askLate();
      assert.ok(firstAdmitted <= 1, `${firstAdmitted} of the storm were admitted before it`);
      assert.ok(firstWritten < 64 + 2 * 4, `${firstWritten} of the storm came before it`);
      // From now on they share: what is under way when it comes is little.
      for (let n = 0; n < 10; n++) {
        const [admitted, written] = await askLate();
        assert.ok(admitted <= 1, `${admitted} of the storm were admitted before it`);
        assert.ok(written < 8 + 2 * 4, `${written} of the storm came before it`);
      }
      assert.ok(dispatch.waiting() > 500, "the storm was over too soon to show anything");
      assert.deepEqual(count(await Promise.all(storm)), { media: 1000 });
    },
  );

  await t.test("a tenant alone has whole batches again", async () => {
    const { ledger, dispatch } = open(64 * 1024 * 1024);
    const two = [dispatch.dispatch(ask("payments"), "east"), dispatch.dispatch(ask("media"), "east")];
    const storm = stormOf(2300).map(async (asked) => await dispatch.dispatch(asked, "east"));
    while (dispatch.waiting() > 0) await ledger.release(Infinity);
    await ledger.release(Infinity);
    assert.deepEqual(count(await Promise.all([...two, ...storm])), { payments: 1, media: 2301 });
    const sizes = ledger.calls.map((drafts) => drafts.length);
    assert.equal(Math.max(...sizes.slice(0, 100)), 4, "while they share");
    assert.ok(sizes.includes(32), sizes.join(" "));
  });

  await t.test("what cannot be held is the storm's, and is refused as overloaded", async () => {
    const { ledger, dispatch } = open(256 * 1024);
    const storm = Array.from({ length: 400 }, async () => await dispatch.dispatch(ask("payments"), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    const few = Array.from({ length: 8 }, async () => await dispatch.dispatch(ask("media"), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    assert.ok(dispatch.waiting() <= 64);
    while (dispatch.waiting() > 0) await ledger.release(Infinity);
    await ledger.release(Infinity);
    assert.deepEqual(count(await Promise.all(few)), { media: 8 });
    const outcomes = count(await Promise.all(storm));
    assert.ok((outcomes["overloaded payments"] ?? 0) > 100, JSON.stringify(outcomes));
    assert.equal((outcomes["overloaded payments"] ?? 0) + (outcomes["payments"] ?? 0), 400);
  });

  await t.test("what is brought in words takes as much room as what is brought in bytes", async () => {
    const { ledger, dispatch } = open(64 * 1024 * 1024);
    const long = "x".repeat(512);
    const request = {
      door: "certificate-request",
      namespace: "media",
      object: "media/a",
      issuer: "TenantIssuer/media",
      username: "ada",
      groups: Array.from({ length: 64 }, () => long),
      usages: Array.from({ length: 32 }, () => long),
      isCa: false,
    } as const;
    const proofs: readonly Asked["proof"][] = [
      { kind: "request", request },
      { kind: "impersonated", token: eastToken, identity: long.repeat(96) },
    ];
    for (const proof of proofs) {
      // Some 48 KiB each, of which 64 MiB hold less than 1400.
      const asked: Asked = { ...ask("media"), idempotencyKey: "uid", proof };
      const all = Array.from({ length: 2000 }, async () => await dispatch.dispatch(asked, "east"));
      const outcomes = count(await Promise.all(all));
      assert.ok((outcomes["overloaded "] ?? 0) > 600, `${proof.kind}: ${JSON.stringify(outcomes)}`);
    }
    assert.equal(ledger.calls.length, 0);
  });

  await t.test("what waited longer than its caller does is refused before it is written", async () => {
    const { ledger, dispatch } = open(64 * 1024 * 1024);
    const storm = Array.from({ length: 200 }, async () => await dispatch.dispatch(ask("payments", 1_000), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    const written = ledger.calls.flat().length;
    clock.offsetSeconds += 2;
    await ledger.release(Infinity);
    const outcomes = count(await Promise.all(storm));
    assert.deepEqual(outcomes, { payments: written, "overloaded ": 200 - written });
    clock.offsetSeconds -= 2;
  });

  await t.test("what waits when its cluster is suspended gets nothing", async () => {
    const { ledger, dispatch } = open(64 * 1024 * 1024);
    const storm = Array.from({ length: 200 }, async () => await dispatch.dispatch(ask("payments"), "east"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    const written = ledger.calls.flat().length;
    const clusters = new Map([...declared.clusters].map(([name, one]) => [name, { ...one, suspended: true }]));
    await live.declare({ ...declared, clusters });
    await ledger.release(Infinity);
    assert.deepEqual(count(await Promise.all(storm)), { payments: written, "suspended ": 200 - written });
    await live.declare(declared);
  });

  await t.test("who cannot prove itself never waits in anybody's line", async () => {
    const { dispatch } = open(64 * 1024);
    const forged = { ...ask("payments"), proof: { kind: "token", token: "garbage" } } as const;
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async () => await dispatch.dispatch(forged, "east")),
    );
    assert.deepEqual(count(outcomes), { "proof-invalid ": 100 });
    assert.equal(dispatch.waiting(), 0);
  });
});

test("an issuer that can hold no more says RESOURCE_EXHAUSTED, item by item, and goes on", async () => {
  await using stack = await startStack({ config: { queueBytes: 65_536 } });
  const thief = await stack.thief("east");
  const items = Array.from({ length: 250 }, (_, id) => ({
    id,
    csr: csrFor(checkoutId),
    token: podToken(),
    deadlineMs: callMs,
  }));
  const { replies } = await thief.signAll(items);
  const refused = replies.filter((reply) => reply.refused !== null && reply.refused !== undefined);
  assert.ok(refused.length > 0 && refused.length < 250, `${refused.length} of 250 were refused`);
  assert.ok(refused.every((reply) => reply.refused?.code === "overloaded"));
  assert.equal((await refusedCounts(stack.issuer.metrics))["overloaded"], refused.length);
  assert.equal(stack.issuer.log.of("refused").length, refused.length);
  assertIssued(await (await stack.workload("east")).ask());
});
