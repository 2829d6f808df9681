/** An issuer on SQLite whose clock jumps by an hour and back while workloads ask; the clocks of its cluster are right. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { backdateSeconds } from "../../src/pki/profile.ts";
import { openClock } from "../support/clock.ts";
import { podToken } from "../support/documents.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { startAgentOf, startIssuerOn } from "../support/stack.ts";
import { openWorkload, tlsOf } from "../support/workload.ts";

const hour = 3600;
const daySeconds = 24 * hour;
/** Times are in whole seconds. */
const roundingMs = 1000;
/** From an issuer's one look at its clock to the other, which no turn of its event loop comes between. */
const stallMs = 15_000;

/** Tokens by their age and life, in seconds; a pod's lives an hour or more, one of Istio's twelve. */
const tokens = {
  fresh: { ageSeconds: 0, expiresInSeconds: 12 * hour },
  used: { ageSeconds: hour / 2, expiresInSeconds: hour },
  old: { ageSeconds: 2 * hour, expiresInSeconds: 12 * hour },
} as const;
type Token = keyof typeof tokens;

/**
 * What each is answered. An hour ahead, what is signed is valid to nobody yet, and the agent does not hand it over; an hour behind,
 * tokens of that hour are not valid yet.
 */
const expected: Readonly<Record<number, Readonly<Record<Token, string>>>> = {
  0: { fresh: "issued", used: "issued", old: "issued" },
  [hour]: { fresh: "unavailable", used: "proof-invalid", old: "unavailable" },
  [-hour]: { fresh: "proof-invalid", used: "proof-invalid", old: "issued" },
};

interface Answered {
  readonly token: Token;
  readonly outcome: string;
  /** By the issuer's clock, before and after; and how far that was off. */
  readonly at: readonly [Date, Date];
  readonly offsets: readonly [number, number];
  readonly leaf?: X509Certificate;
}

test("an issuer whose clock jumps an hour refuses or signs by the clock that it has, and goes on by itself when it jumps back", async () => {
  await using opened = new AsyncDisposableStack();
  const clock = openClock();
  const site = opened.use(await makeSite({ serving: ["east"], bornDaysAgo: 1 }));
  const issuer = opened.use(await startIssuerOn(site, { clock }));
  const agent = opened.use(await startAgentOf(site, "east", { issuers: [issuer.address] }));
  await agent.ready();
  const workload = opened.use(openWorkload(await agent.address(), tlsOf(site, "east"), "east"));

  const answers: Answered[] = [];
  const asking = new AbortController();
  const ask = async (token: Token): Promise<void> => {
    const { ageSeconds, expiresInSeconds } = tokens[token];
    while (!asking.signal.aborted) {
      const issuedAt = new Date(Date.now() - ageSeconds * 1000);
      const before = { at: clock.now(), offset: clock.offsetSeconds };
      const answered = await workload.ask({ token: podToken("east", { issuedAt, expiresInSeconds }) });
      const leaf = "chain" in answered ? { leaf: new X509Certificate(answered.chain[0] ?? "") } : {};
      answers.push({
        token,
        outcome: "code" in answered ? answered.code : "issued",
        at: [before.at, clock.now()],
        offsets: [before.offset, clock.offsetSeconds],
        ...leaf,
      });
      await delay(5);
    }
  };
  const load = [ask("fresh"), ask("used"), ask("old")];

  /** By the issuer's clock, from the first to the last moment of each stay. */
  const stays: (readonly [Date, Date])[] = [];
  for (const offset of [0, hour, 0, -hour, 0]) {
    clock.offsetSeconds = offset;
    const [from, seen] = [clock.now(), answers.length];
    await eventually(() => {
      const whole = answers.slice(seen).filter(({ offsets }) => offsets.every((one) => one === offset));
      for (const token of ["fresh", "used", "old"] as const)
        assert.ok(whole.filter((one) => one.token === token).length >= 5, `${token} at ${offset}`);
    });
    stays.push([from, clock.now()]);
  }
  const stopped = clock.now();
  asking.abort();
  await Promise.all(load);
  stays.push([stopped, clock.now()]);

  for (const { token, outcome, at, offsets, leaf } of answers) {
    const [before, after] = offsets;
    const either = offsets.map((offset) => expected[offset]?.[token]);
    // What was under way at a jump may have waited too long by its end.
    if (before === after) assert.equal(outcome, either[0], `${token} at ${before} s`);
    else assert.ok([...either, "overloaded"].includes(outcome), `${token} from ${before} s to ${after} s: ${outcome}`);
    if (leaf === undefined || before !== after) continue;
    assertWithin(new Date(+leaf.validFromDate + backdateSeconds * 1000), at);
    assertWithin(new Date(+leaf.validToDate - daySeconds * 1000), at);
  }

  await issuer[Symbol.asyncDispose]();
  const intents = await intentsOf(site);
  const signed = answers.filter(({ leaf }) => leaf !== undefined);
  assert.ok(intents.length > signed.length, "what was not handed over is in the ledger too");
  assert.equal(new Set(intents.map(({ serial }) => serial)).size, intents.length);
  for (const { time, notBefore, notAfter } of intents) {
    assert.ok(
      stays.some((stay) => isWithin(time, stay)),
      new Date(time).toISOString(),
    );
    const moment = [new Date(time - stallMs), new Date(time)] as const;
    assertWithin(new Date(notBefore + backdateSeconds * 1000), moment);
    assertWithin(new Date(notAfter - daySeconds * 1000), moment);
  }
  await site.verify();
});

function isWithin(time: number, [from, to]: readonly [Date, Date]): boolean {
  return time >= +from - roundingMs && time <= +to + roundingMs;
}

function assertWithin(time: Date, range: readonly [Date, Date]): void {
  assert.ok(isWithin(+time, range), [time, ...range].map((one) => one.toISOString()).join(" "));
}

interface Listed {
  readonly serial: string;
  /** In milliseconds. */
  readonly time: number;
  readonly notBefore: number;
  readonly notAfter: number;
}

async function intentsOf({ databasePath: path }: Site): Promise<readonly Listed[]> {
  await using database = await openSqlite({ path, now: () => new Date(), create: false });
  const all: Listed[] = [];
  for await (const { kind, log, body } of database.ledger.entries({ limit: 100_000 })) {
    if (kind !== "intent" || log !== "payments") continue;
    const { serial, time, notBefore, notAfter } = JSON.parse(Buffer.from(body).toString());
    all.push({ serial, time: Date.parse(time), notBefore: Date.parse(notBefore), notAfter: Date.parse(notAfter) });
  }
  return all;
}
