import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { Refusal } from "../../src/errors.ts";
import { readPem, toPem } from "../../src/pki/pem.ts";
import { toCsr } from "../../src/pki/request.ts";
import type { JoinRequest } from "../../src/rpc/gen/espalier/v1/JoinRequest.ts";
import { readJwks } from "../../src/token/jwk.ts";
import { ago, moved } from "../support/clock.ts";
import {
  agentToken,
  clusterDocument,
  clusterTokens,
  hubName,
  podToken,
  tokenIssuerUrl,
  usualDocuments,
} from "../support/documents.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { flipBit } from "../support/pki.ts";
import { makeSite } from "../support/site.ts";
import { startIssuerOn } from "../support/stack.ts";
import { joinHub, openThiefWith } from "../support/thief.ts";
import { refusedCounts } from "../support/traces.ts";
import { newKey } from "../support/workload.ts";

const agent = { namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${hubName}` };
const joined = { tokens: { issuer: tokenIssuerUrl, keys: { joined: true } } };
const thumbprint = (cluster: string): string => readJwks(clusterTokens(cluster).jwks)[0]?.thumbprint ?? "";
const jwks = (cluster: string): string => JSON.stringify(clusterTokens(cluster).jwks);
const csr = (): Uint8Array => toCsr({ privateKey: newKey().privateKey });

test("an agent's certificate is for the agent's own token, and a join token for one key, once", async (t) => {
  using site = await makeSite({
    documents: [...usualDocuments(), clusterDocument("north", joined), clusterDocument("south", joined)],
  });
  await using issuer = await startIssuerOn(site);
  const ask = async (request: JoinRequest): Promise<Uint8Array> =>
    (await joinHub(site, issuer.address, { csr: csr(), ...request })).certificate;
  const refused = async (request: JoinRequest, code: string, message = /./): Promise<string> => {
    const [lines, counts, entries] = [issuer.log.lines.length, await refusedCounts(issuer.metrics), site.entries()];
    const error = await ask(request).then(
      () => assert.fail("it was let in"),
      (caught: Refusal) => caught,
    );
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    const told = issuer.log.lines.slice(lines);
    assert.deepEqual(
      told.map(({ event, fields }) => [event, fields["method"], fields["code"]]),
      [["refused", "Join", code]],
    );
    assert.ok(JSON.stringify(told).length < 1024);
    assert.deepEqual(await refusedCounts(issuer.metrics), { ...counts, [code]: (counts[code] ?? 0) + 1 });
    assert.equal(site.entries(), entries);
    return error.message;
  };

  await t.test("it names its cluster and nothing else", async () => {
    const leaf = new X509Certificate(await ask({ cluster: "east", token: agentToken("east") }));
    assert.equal(leaf.subjectAltName, `URI:spiffe://${hubName}/cluster/east`);
    assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  });
  for (const [title, token, message] of [
    ["a workload's token", podToken("east"), /audience/],
    ["a token for another hub", agentToken("east", { audience: "espalier:other.example" }), /audience/],
    ["a token of another account", agentToken("east", { serviceAccount: "default" }), /not this cluster's agent/],
    ["a token of another namespace", agentToken("east", { namespace: "default" }), /not this cluster's agent/],
    ["a token that is bound to no pod", agentToken("east", { pod: false }), /bound to no pod/],
    ["an expired token", agentToken("east", { issuedAt: ago(7200) }), /expired/],
    ["another cluster's token", agentToken("west"), /no key of the cluster/],
    ["a token that is none", "garbage", /three parts/],
  ] as const) {
    await t.test(
      `${title} is refused`,
      async () => void (await refused({ cluster: "east", token }, "proof-invalid", message)),
    );
  }
  await t.test("no token is refused", async () => void (await refused({ cluster: "east" }, "proof-missing")));
  await t.test("a CSR that is none is refused", async () => {
    await refused({ cluster: "east", token: agentToken("east"), csr: randomBytes(80) }, "malformed");
  });
  await t.test("a CSR with a wrong signature is refused", async () => {
    const wrong = flipBit(csr(), csr().length * 8 - 70);
    await refused({ cluster: "east", token: agentToken("east"), csr: wrong }, "csr-signature");
  });
  await t.test("a claim of a megabyte makes a short line", async () => {
    await refused({ cluster: "x".repeat(900_000), token: "garbage" }, "proof-invalid");
  });

  await t.test("whoever shows no token of a cluster is not told whether there is one, nor how it is", async () => {
    await issuer.suspend("cluster", "west");
    const foreign = createTokenIssuer(tokenIssuerUrl, generateKeyPairSync("ec", { namedCurve: "P-256" }));
    const tokens = [foreign.token(agent), foreign.token({ ...agent, header: { kid: undefined } }), "garbage", "a.b.c"];
    for (const token of tokens) {
      for (const joinToken of ["", "esj_guessed"]) {
        const heard = new Set<string>();
        for (const cluster of ["east", "west", "north", "nowhere", ""]) {
          const stated = joinToken === "" ? {} : { joinToken, jwks: JSON.stringify(foreign.jwks) };
          heard.add(await refused({ cluster, token, ...stated }, "proof-invalid"));
        }
        assert.equal(heard.size, 1, [...heard].join("; "));
      }
    }
    await refused({ cluster: "west", token: agentToken("west") }, "suspended");
    await issuer.suspend("cluster", "west", false);
  });

  const north = { cluster: "north", jwks: jwks("north"), token: agentToken("north") };
  await t.test("a guessed join token is refused", async () => {
    await issuer.joinToken("north", thumbprint("north"));
    for (const joinToken of ["esj_", "esj_guessed", "x".repeat(10_000)]) {
      await refused({ ...north, joinToken }, "proof-invalid", /join token is unknown/);
    }
  });
  await t.test("an expired join token is refused", async () => {
    const joinToken = await issuer.joinToken("north", thumbprint("north"), 60);
    await moved(
      issuer.clock,
      61,
      async () => void (await refused({ ...north, joinToken }, "proof-invalid", /expired/)),
    );
  });
  await t.test("another cluster's join token is refused", async () => {
    const joinToken = await issuer.joinToken("south", thumbprint("south"));
    await refused({ ...north, joinToken }, "proof-invalid", /unknown/);
  });
  await t.test("a join token with another key than its own is refused, and is not spent", async () => {
    const joinToken = await issuer.joinToken("north", thumbprint("north"));
    const foreign = createTokenIssuer(tokenIssuerUrl, generateKeyPairSync("ec", { namedCurve: "P-256" }));
    const stated = { jwks: JSON.stringify(foreign.jwks), token: foreign.token(agent) };
    await refused({ ...north, ...stated, joinToken }, "proof-invalid", /is not for a key/);
    await refused({ ...north, jwks: jwks("north"), token: foreign.token(agent), joinToken }, "proof-invalid", /no key/);
    const two = JSON.stringify({ keys: [...foreign.jwks.keys, ...clusterTokens("north").jwks.keys] });
    await refused({ ...north, jwks: two, token: foreign.token(agent), joinToken }, "proof-invalid", /no key/);
    await refused({ ...north, jwks: "{}", joinToken }, "malformed");
    const wrong = flipBit(csr(), csr().length * 8 - 70);
    await refused({ ...north, joinToken, csr: wrong }, "csr-signature");
    await ask({ ...north, jwks: two, joinToken });
    await refused({ ...north, joinToken }, "proof-invalid", /was used already/);
  });
  await t.test("once the key is registered the agent's own token is enough", async () => {
    await ask({ cluster: "north", token: agentToken("north") });
  });
  await t.test("a key of another cluster is refused, declared or joined", async () => {
    for (const owner of ["east", "north"]) {
      const joinToken = await issuer.joinToken("south", thumbprint(owner));
      const stated = { jwks: jwks(owner), token: agentToken(owner), joinToken };
      await refused({ cluster: "south", ...stated }, "not-this-caller", /belongs to another cluster/);
    }
  });
  await t.test("a join token used twice at once is used once", async () => {
    const joinToken = await issuer.joinToken("south", thumbprint("south"));
    const south = { cluster: "south", jwks: jwks("south"), token: agentToken("south"), joinToken };
    const ends = await Promise.allSettled([1, 2, 3, 4].map(async () => await ask(south)));
    assert.equal(ends.filter((end) => end.status === "fulfilled").length, 1);
  });
});

test("an agent of a cluster that is declared no more is nobody, on living streams too", async () => {
  using site = await makeSite();
  await using issuer = await startIssuerOn(site);
  const key = newKey();
  const own = { cluster: "west", token: agentToken("west"), csr: toCsr({ privateKey: key.privateKey }) };
  const { certificate } = await joinHub(site, issuer.address, own);
  using thief = openThiefWith(site, issuer.address, {
    chainPem: toPem("CERTIFICATE", certificate),
    keyPem: key.keyPem,
  });
  assert.ok((await thief.sign({ token: podToken("west") })).issued);
  site.declare(
    usualDocuments()
      .filter((one) => JSON.stringify(one["metadata"]) !== '{"name":"west"}')
      .map((one) => JSON.parse(JSON.stringify(one).replace('["east","west"]', '["east"]'))),
  );
  await eventually(() => assert.ok(issuer.log.of("resources in force").length > 0));
  assert.equal((await thief.sign({ token: podToken("west") })).refused?.code, "not-this-caller");
  assert.equal((await thief.sign({ serving: {} })).refused?.code, "not-this-caller");
  await assert.rejects(joinHub(site, issuer.address, own), { code: "proof-invalid" });
  assert.ok(readPem(site.hubRootPem, ["CERTIFICATE"]).length > 0);
});
