/** Keys that a cluster's agent proposes: what an operator, a stolen agent and a restart make of them. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { toCsr } from "../../src/pki/request.ts";
import { openWatchStream } from "../../src/rpc/client.ts";
import type { Trust__Output } from "../../src/rpc/gen/espalier/v1/Trust.ts";
import type { TrustAck } from "../../src/rpc/gen/espalier/v1/TrustAck.ts";
import { readStatus } from "../../src/rpc/status.ts";
import type { Stream } from "../../src/rpc/stream.ts";
import { readJwks } from "../../src/token/jwk.ts";
import { espalier } from "../ctl/stage.ts";
import { moved } from "../support/clock.ts";
import {
  agentToken,
  checkout,
  clusterDocument,
  clusterTokens,
  tokenIssuerUrl,
  usualDocuments,
} from "../support/documents.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startAgentOf, startIssuerOn } from "../support/stack.ts";
import { joinHub, openThief, openThiefWith, type Thief } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { newKey } from "../support/workload.ts";

const proposed = (how: "approved" | "taken") => ({ tokens: { issuer: tokenIssuerUrl, keys: { proposed: how } } });

/** As the usual, with east's keys proposed by its agent. */
const documents = (how: "approved" | "taken" = "approved") => [
  ...usualDocuments().filter((one) => JSON.stringify(one["metadata"]) !== '{"name":"east"}'),
  clusterDocument("east", proposed(how)),
];

const newIssuer = (): TokenIssuer =>
  createTokenIssuer(tokenIssuerUrl, generateKeyPairSync("ec", { namedCurve: "P-256" }));
const toSet = (...issuers: readonly TokenIssuer[]): string =>
  JSON.stringify({ keys: issuers.flatMap(({ jwks }) => jwks.keys) });
const thumbprintsOf = (...issuers: readonly TokenIssuer[]): readonly string[] =>
  readJwks(toSet(...issuers)).map(({ thumbprint }) => thumbprint);
const first = clusterTokens("east");

interface Listed {
  readonly proposal: string;
  readonly keys: readonly { readonly thumbprint: string; readonly inForce: boolean; readonly proposed: boolean }[];
}

/** The operator, by the command line. */
function operator({ site }: IssuerStack) {
  const say = async (...argv: readonly string[]) =>
    await espalier(["cluster", "keys", ...argv], site.config.adminSocket);
  const named = (thumbprints: readonly string[]) => thumbprints.flatMap((one) => ["--thumbprint", one]);
  const list = async (cluster = "east"): Promise<Listed> =>
    JSON.parse((await say("list", cluster, "-o", "json")).stdout);
  const done = async (...argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await say(...argv);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  return {
    say,
    done,
    approve: async (...thumbprints: readonly string[]) => await done("approve", "east", ...named(thumbprints)),
    named,
    inForce: async (cluster = "east") =>
      (await list(cluster)).keys
        .filter((key) => key.inForce)
        .map(({ thumbprint }) => thumbprint)
        .sort(),
    pending: async (cluster = "east") => {
      const { proposal, keys } = await list(cluster);
      return proposal === "pending"
        ? keys
            .filter((key) => key.proposed)
            .map(({ thumbprint }) => thumbprint)
            .sort()
        : [];
    },
    acts: async (): Promise<readonly Readonly<Record<string, unknown>>[]> => {
      const argv = ["ledger", "list", "--log", "@hub", "-o", "json"];
      const entries: { kind: string; body: Record<string, unknown> }[] = JSON.parse(
        (await espalier(argv, site.config.adminSocket)).stdout,
      );
      return entries
        .filter(({ kind }) => kind === "act")
        .map(({ body }) => body)
        .toReversed();
    },
  };
}

/** East's agent, in whoever's hands: it has joined with the key that a join token states. */
async function joinEast(site: Site, issuer: IssuerStack): Promise<Thief> {
  const [thumbprint = ""] = thumbprintsOf(first);
  const joinToken = await issuer.joinToken("east", thumbprint);
  return await openThief(site, issuer.address, "east", { joinToken, jwks: toSet(first) });
}

interface Saying extends Disposable {
  readonly stream: Stream<Trust__Output, TrustAck>;
  readonly got: Trust__Output[];
  readonly ended: Promise<string>;
  say(jwks: string): void;
}

function openSaying({ client }: Thief): Saying {
  const stream = openWatchStream(client);
  const got: Trust__Output[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  stream.onMessage((message) => void got.push(message));
  stream.onEnd((error) => resolve(error === undefined ? "" : readStatus(error).code));
  const say = (jwks: string): void => stream.write({ version: "", inForceSince: "", agent: "agent-1", jwks });
  return { stream, got, ended, say, [Symbol.dispose]: () => stream.end() };
}

async function codeOf(thief: Thief, by: TokenIssuer): Promise<string> {
  const { issued, refused } = await thief.sign({ token: by.token(checkout) });
  return issued ? "issued" : (refused?.code ?? "nothing");
}

test("what an agent proposes counts once an operator has stated it key by key, and the old counts until then", async (t) => {
  using site = await makeSite({ documents: documents() });
  const next = newIssuer();
  const [old = "", new_ = ""] = thumbprintsOf(first, next);
  {
    await using issuer = await startIssuerOn(site);
    const { say, done, named, inForce, pending } = operator(issuer);
    using agent = await joinEast(site, issuer);
    using saying = openSaying(agent);

    await t.test("the key of the join is in force, and no proposal while the agent says the same", async () => {
      saying.say(toSet(first));
      assert.equal(await codeOf(agent, first), "issued");
      assert.deepEqual(await pending(), []);
    });
    await t.test("another key is pending, shown and told, and its tokens are to be tried again", async () => {
      saying.say(toSet(first, next));
      await eventually(async () => assert.deepEqual(await pending(), [old, new_].sort()));
      assert.deepEqual(await inForce(), [old]);
      assert.equal(await codeOf(agent, first), "issued");
      assert.equal(await codeOf(agent, next), "unavailable");
      assert.equal(await codeOf(agent, newIssuer()), "proof-invalid");
      assert.equal(issuer.log.of("keys proposed").length, 1);
      assert.match(await issuer.metrics.registry.metrics(), /^espalier_issuer_key_proposals 1$/m);
      assert.match(await done("east"), new RegExp(`^${new_} .* proposed$`, "m"));
      const clusters = (await espalier(["cluster", "list"], site.config.adminSocket)).stdout;
      assert.match(clusters, /^east .* ready +its agent proposes other keys: `espalier cluster keys list east`/m);
    });
    await t.test(
      "approving without saying what, or anything but all of it, is refused and says what to do",
      async () => {
        const blind = await say("approve", "east");
        assert.equal(blind.code, 2);
        assert.match(blind.stderr, new RegExp(`--jwks FILE .* its agent proposes .*${new_}`));
        for (const wrong of [[new_], [old], [old, new_, thumbprintsOf(newIssuer())[0] ?? ""]]) {
          const { code, stderr } = await say("approve", "east", ...named(wrong));
          assert.equal(code, 1);
          assert.match(stderr, /proposes other keys/);
        }
        assert.match((await say("approve", "east", ...named(["short"]))).stderr, /43 characters/);
        assert.match((await say("approve", "west", ...named([new_]))).stderr, /takes no proposals/);
        assert.deepEqual(await inForce(), [old]);
      },
    );
    await t.test("--dry-run says what would change, and changes nothing", async () => {
      assert.match(
        await done("approve", "east", "--dry-run", ...named([old, new_])),
        new RegExp(`would be changed\n {2}\\+ ${new_}`),
      );
      assert.deepEqual(await inForce(), [old]);
    });
  }

  await using issuer = await startIssuerOn(site);
  const { done, approve, named, inForce, pending, acts } = operator(issuer);
  using agent = openThiefWith(site, issuer.address, (await rejoin(site, issuer)).identity);
  using saying = openSaying(agent);
  await t.test("a proposal outlives a restart, and is none of the keys after it either", async () => {
    assert.deepEqual(await pending(), [old, new_].sort());
    assert.deepEqual(await inForce(), [old]);
    assert.equal(await codeOf(agent, next), "unavailable");
  });
  await t.test("approved, both count; a second time nothing is done", async () => {
    await done("approve", "east", "--reason", "rotation", ...named([new_, old]));
    assert.deepEqual(await inForce(), [old, new_].sort());
    assert.equal(await codeOf(agent, next), "issued");
    assert.equal(await codeOf(agent, first), "issued");
    assert.match(await approve(old, new_), /in force already/);
    assert.match(await issuer.metrics.registry.metrics(), /^espalier_issuer_key_proposals 0$/m);
  });
  await t.test("a key that the cluster no longer shows counts until that is approved, and then no more", async () => {
    saying.say(toSet(next));
    await eventually(async () => assert.deepEqual(await pending(), [new_]));
    assert.equal(await codeOf(agent, first), "issued");
    await approve(new_);
    assert.equal(await codeOf(agent, first), "proof-invalid");
    assert.equal(await codeOf(agent, next), "issued");
  });
  await t.test("a proposal that the agent takes back is none", async () => {
    saying.say(toSet(newIssuer()));
    await eventually(async () => assert.equal((await pending()).length, 1));
    saying.say(toSet(next));
    await eventually(async () => assert.deepEqual(await pending(), []));
    assert.deepEqual(await inForce(), [new_]);
  });
  await t.test("who proposed, approved and why stands in the ledger", async () => {
    const seen = (await acts()).filter(({ verb }) => String(verb).endsWith("-keys"));
    assert.deepEqual(
      seen.map(({ verb, operator: by }) => `${String(verb)} ${String(by)}`),
      [
        "propose-keys agent:east",
        "approve-keys unix:alice",
        "propose-keys agent:east",
        "approve-keys unix:alice",
        "propose-keys agent:east",
        "withdraw-keys agent:east",
      ],
    );
    assert.equal(seen[1]?.["reason"], "rotation");
    assert.deepEqual(seen[1]?.["details"], {
      cluster: "east",
      keyThumbprints: [old, new_].sort().join(" "),
      added: new_,
      removed: "",
    });
  });
});

/** East's agent again, by a key that counts. */
async function rejoin(site: Site, issuer: IssuerStack): Promise<Thief> {
  return await openThief(site, issuer.address, "east");
}

test("a stolen agent swaps no keys", async (t) => {
  using site = await makeSite({ documents: documents() });
  await using issuer = await startIssuerOn(site);
  const { done, say, named, inForce, pending } = operator(issuer);
  using agent = await joinEast(site, issuer);
  const [own = ""] = thumbprintsOf(first);
  const mallory = newIssuer();
  const quiet = async (jwks: string, code: string): Promise<void> => {
    const before = [site.entries(), (await refusedCounts(issuer.metrics))[code] ?? 0];
    using saying = openSaying(agent);
    saying.say(jwks);
    await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))[code], Number(before[1]) + 1));
    const [line] = issuer.log.of("refused").slice(-1);
    assert.deepEqual([line?.fields["method"], line?.fields["code"], line?.fields["cluster"]], ["Watch", code, "east"]);
    assert.ok(JSON.stringify(line).length < 1024);
    assert.equal(site.entries(), before[0]);
    assert.deepEqual(await pending(), []);
    assert.deepEqual(await inForce(), [own]);
    // The stream is still good for what it is there for.
    await eventually(() => assert.ok(saying.got.length > 0));
    await issuer.suspend("tenant", "media");
    await eventually(() => assert.ok(saying.got.length > 1));
    await issuer.suspend("tenant", "media", false);
  };

  await t.test("what is no JWKS of public keys is refused", async () => {
    const secret = { keys: [{ ...newIssuer().privateKey.export({ format: "jwk" }) }] };
    const many = { keys: Array.from({ length: 65 }, () => first.jwks.keys[0]) };
    for (const wrong of ["garbage", "{}", '{"keys":[]}', JSON.stringify(secret), JSON.stringify(many)])
      await quiet(wrong, "malformed");
  });
  await t.test("more keys than a cluster has are refused", async () => {
    await quiet(toSet(...Array.from({ length: 9 }, newIssuer)), "malformed");
  });
  await t.test("another cluster's key is refused, alone or among its own", async () => {
    await quiet(toSet(clusterTokens("west")), "not-this-caller");
    await quiet(toSet(first, clusterTokens("west")), "not-this-caller");
  });
  await t.test("its certificate expires on a living stream too", async () => {
    using saying = openSaying(agent);
    saying.say(toSet(first));
    await eventually(() => assert.ok(saying.got.length > 0));
    await moved(issuer.clock, 86_400, async () => {
      saying.say(toSet(mallory));
      await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))["proof-invalid"], 1));
    });
    assert.deepEqual(await pending(), []);
  });
  await t.test("a suspended cluster proposes nothing", async () => {
    await issuer.suspend("cluster", "east");
    using saying = openSaying(agent);
    saying.say(toSet(mallory));
    await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))["suspended"], 1));
    await issuer.suspend("cluster", "east", false);
    assert.deepEqual(await pending(), []);
  });
  await t.test("its own key beside the right one is not approved with the right one", async () => {
    using saying = openSaying(agent);
    saying.say(toSet(first, mallory));
    await eventually(async () => assert.equal((await pending()).length, 2));
    assert.notEqual((await say("approve", "east", ...named([own]))).code, 0);
    assert.equal(await codeOf(agent, mallory), "unavailable");
    assert.match(await done("reject", "east", "--reason", "not ours"), /is rejected/);
    assert.match(await done("reject", "east"), /no proposal waits/);
    assert.equal(await codeOf(agent, mallory), "proof-invalid");
  });
  await t.test("what was rejected stays rejected, said again on this stream or another", async () => {
    const entries = site.entries();
    for (let i = 0; i < 2; i++) {
      using saying = openSaying(agent);
      saying.say(toSet(mallory, first));
      saying.say(toSet(first));
      saying.say(toSet(mallory, first));
      saying.say("{}");
      await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))["malformed"], 7 + i));
    }
    assert.deepEqual(await pending(), []);
    assert.equal(site.entries(), entries);
  });
  await t.test("a proposal that changes between looking and approving is not approved", async () => {
    const next = newIssuer();
    const [nextThumbprint = ""] = thumbprintsOf(next);
    using saying = openSaying(agent);
    saying.say(toSet(next));
    await eventually(async () => assert.deepEqual(await pending(), [nextThumbprint]));
    saying.say(toSet(mallory));
    await eventually(async () => assert.deepEqual(await pending(), thumbprintsOf(mallory)));
    const { code, stderr } = await say("approve", "east", ...named([nextThumbprint]));
    assert.equal(code, 1);
    assert.match(stderr, /proposes other keys/);
    assert.deepEqual(await inForce(), [own]);
    await done("reject", "east");
  });
  await t.test("the right keys under wrong names are still the right keys once they are approved", async () => {
    const next = newIssuer();
    using saying = openSaying(agent);
    const misnamed = [...first.jwks.keys, ...next.jwks.keys].map((key) => ({ ...key, kid: "wrong" }));
    saying.say(JSON.stringify({ keys: misnamed }));
    await eventually(async () => assert.equal((await pending()).length, 2));
    await done("approve", "east", ...named(thumbprintsOf(first, next)));
    for (const by of [first, next]) assert.equal(await codeOf(agent, by), "issued");
    await done("remove", "east", ...named(thumbprintsOf(next)));
    assert.equal(await codeOf(agent, next), "proof-invalid");
    assert.equal(await codeOf(agent, first), "issued");
  });
  await t.test("who says other keys again and again is cut off", async () => {
    using saying = openSaying(agent);
    for (let i = 0; i < 40; i++) saying.say(toSet(first));
    assert.equal(await saying.ended, "overloaded");
    assert.equal((await refusedCounts(issuer.metrics))["overloaded"], 1);
  });
  await t.test("in a cluster that declares its keys nobody listens", async () => {
    using west = await openThief(site, issuer.address, "west");
    using saying = openSaying(west);
    const [entries, refused] = [site.entries(), JSON.stringify(await refusedCounts(issuer.metrics))];
    for (const jwks of [toSet(mallory), "garbage"]) saying.say(jwks);
    await eventually(() => assert.ok(saying.got.length > 0));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual([site.entries(), JSON.stringify(await refusedCounts(issuer.metrics))], [entries, refused]);
    assert.equal(await codeOf(west, mallory), "proof-invalid");
  });
  assert.deepEqual(await inForce(), [own]);
});

test("where proposals are taken they count at once, are told, and what an operator took away stays away", async () => {
  using site = await makeSite({ documents: documents("taken") });
  await using issuer = await startIssuerOn(site);
  const { done, named, inForce, acts } = operator(issuer);
  using agent = await joinEast(site, issuer);
  const next = newIssuer();
  const [nextThumbprint = ""] = thumbprintsOf(next);
  {
    using saying = openSaying(agent);
    saying.say(toSet(next));
    await eventually(async () => assert.deepEqual(await inForce(), [nextThumbprint]));
  }
  assert.equal(await codeOf(agent, next), "issued");
  assert.equal(await codeOf(agent, first), "proof-invalid");
  assert.equal(issuer.log.of("keys taken").length, 1);
  assert.ok((await acts()).some(({ verb, operator: by }) => verb === "take-keys" && by === "espalier"));

  using saying = openSaying(agent);
  saying.say(toSet(clusterTokens("west"), next));
  await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))["not-this-caller"], 1));
  assert.deepEqual(await inForce(), [nextThumbprint]);

  await done("remove", "east", ...named([nextThumbprint]));
  saying.say(toSet(next));
  saying.say("{}");
  await eventually(async () => assert.equal((await refusedCounts(issuer.metrics))["malformed"], 1));
  assert.deepEqual(await inForce(), []);
  assert.equal(await codeOf(agent, next), "unavailable");
});

test("a key that was taken away is gone: for tokens, for join tokens, and for a cluster declared anew", async () => {
  const without = usualDocuments()
    .filter((one) => JSON.stringify(one["metadata"]) !== '{"name":"east"}')
    .map((one) =>
      JSON.parse(JSON.stringify(one).replaceAll('"east"', '"west"').replace('["west","west"]', '["west"]')),
    );
  using site = await makeSite({ documents: documents() });
  await using issuer = await startIssuerOn(site);
  const { done, say, named, inForce } = operator(issuer);
  const [own = ""] = thumbprintsOf(first);
  using agent = await joinEast(site, issuer);
  const unused = await issuer.joinToken("east", own);

  assert.match(await done("remove", "east", "--all", "--dry-run"), new RegExp(`would be changed\n {2}- ${own}`));
  assert.deepEqual(await inForce(), [own]);
  assert.equal((await say("remove", "east")).code, 2);
  assert.match((await say("remove", "west", "--all")).stderr, /declares its keys: change them in its document/);
  await done("remove", "east", "--reason", "stolen", ...named([own]));
  assert.deepEqual(await inForce(), []);
  assert.equal(await codeOf(agent, first), "unavailable");
  assert.match(await done("remove", "east", ...named([own])), /it has no such keys/);
  const again = { cluster: "east", csr: toCsr({ privateKey: newKey().privateKey }), token: agentToken("east") };
  await assert.rejects(joinHub(site, issuer.address, again), { code: "proof-invalid" });
  await assert.rejects(joinHub(site, issuer.address, { ...again, joinToken: unused, jwks: toSet(first) }), {
    code: "proof-invalid",
    message: /unknown/,
  });

  using _ = await joinEast(site, issuer);
  const redeclare = async (all: Parameters<Site["declare"]>[0]): Promise<void> => {
    const before = issuer.log.of("resources in force").length;
    site.declare(all);
    await eventually(() =>
      assert.ok(issuer.log.of("resources in force").length > before, JSON.stringify(issuer.log.lines.at(-1))),
    );
  };
  await redeclare(without);
  assert.match(await done("list", "east"), new RegExp(`declared no more\n[^]*^${own} .* registered `, "m"));
  await done("remove", "east", "--all");
  assert.match((await say("list", "east")).stderr, /no cluster "east" is declared/);
  await redeclare(documents());
  assert.deepEqual(await inForce(), []);
});

test("an agent says what its cluster shows, and only what an operator approves is served", async () => {
  using site = await makeSite({ documents: documents() });
  await using issuer = await startIssuerOn(site);
  const { done, pending } = operator(issuer);
  using _ = await joinEast(site, issuer);
  const next = newIssuer();
  const jwksFile = `${site.directory}/shown.json`;
  await using agent = await startAgentOf(site, "east", { issuers: [issuer.address], tokens: { jwksFile } });
  // Had a moment after the stream was opened.
  writeFileSync(jwksFile, toSet(first, next));
  await eventually(async () => assert.deepEqual(await pending(), [...thumbprintsOf(first, next)].sort()));
  await agent.ready();
  const seen = `${site.directory}/seen.json`;
  writeFileSync(seen, toSet(next, first));
  await done("approve", "east", "--jwks", seen);
  using thief = await openThief(site, issuer.address, "east");
  assert.equal(await codeOf(thief, next), "issued");

  const readyz = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${agent.running.httpPort}/readyz`)).text();
  await eventually(async () => assert.doesNotMatch(await readyz(), /token keys at the hub/));
  await done("remove", "east", "--all");
  await eventually(async () => assert.match(await readyz(), /the cluster's token keys at the hub/));
});
