import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { lookupDeadlineMs } from "../../src/agent/finder.ts";
import { openProof, type Proof } from "../../src/agent/proof.ts";
import { openReview } from "../../src/agent/review.ts";
import { Refusal, type RefusalCode } from "../../src/errors.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { isRecord, type JsonRecord } from "../../src/kube/json.ts";
import { readMeta } from "../../src/kube/meta.ts";
import { createObject } from "../../src/kube/objects.ts";
import { type Resource, resources } from "../../src/kube/resource.ts";
import { agentSchema } from "../../src/ops/config.ts";
import { readClaimedAccount, readServiceAccount, type ServiceAccount } from "../../src/token/account.ts";
import { readJwks } from "../../src/token/jwk.ts";
import { checkout, checkoutId, clusterTokens, tokenIssuerUrl } from "../support/documents.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";
import { createTokenIssuer, type TokenIssuer, type TokenRequest } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { makeSite } from "../support/site.ts";
import { startAgentOf, startIssuerOn } from "../support/stack.ts";
import { assertIssued, assertRefused, csrFor, openWorkload, tlsOf } from "../support/workload.ts";

const issuer = createTokenIssuer("https://kubernetes.default.svc");
const audiences = ["istio-ca"];
const path = "/apis/authentication.k8s.io/v1/tokenreviews";
const who = { namespace: "shop", serviceAccount: "cart" };

const tokenOf = (request: Partial<TokenRequest> = {}): string => issuer.token({ ...who, ...request });

/** What kube-apiserver says of a token of its own. */
function statusOf(token: string): JsonRecord {
  const keys = readJwks(issuer.jwks);
  return toStatus(readServiceAccount(token, { issuer: issuer.issuer, audiences, keys, at: new Date() }));
}

function toStatus({ namespace, name, uid, pod }: ServiceAccount): JsonRecord {
  const extra = pod && {
    "authentication.kubernetes.io/pod-name": [pod.name],
    "authentication.kubernetes.io/pod-uid": [pod.uid],
    "authentication.kubernetes.io/node-name": ["node1"],
  };
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  const user = { username: `system:serviceaccount:${namespace}:${name}`, uid, groups, ...(extra && { extra }) };
  return { authenticated: true, user, audiences };
}

interface Setting extends AsyncDisposable {
  readonly api: MemoryApi;
  readonly client: Client;
  readonly proof: Proof;
  reviews(): number;
}

type Answer = (token: string, response: ServerResponse, body: JsonRecord) => void;

const honest: Answer = (token, response, body) => reply(response, 201, { ...body, status: statusOf(token) });

/** An API server that reviews as it is told to. */
async function openSetting(answer: Answer = honest): Promise<Setting> {
  const api = await startMemoryApi();
  api.intercept((request, response, body) => {
    if (request.path !== path) return false;
    const { spec } = body;
    assert.ok(isRecord(spec) && typeof spec["token"] === "string");
    assert.deepEqual([request.verb, spec["audiences"]], ["POST", audiences]);
    answer(spec["token"], response, body);
    return true;
  });
  const client = openClient({ credentials: fixedCredentials(api.access), backOff: { msMin: 10, msMax: 50 } });
  const review = openReview(client);
  return {
    api,
    client,
    proof: openProof({ issuer: issuer.issuer, audiences }, { keys: () => [], review, now: () => new Date() }),
    reviews: () => api.requests.filter((request) => request.path === path).length,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
    },
  };
}

/** Whatever is said of it, nothing of the token is. */
async function refused(proof: Proof, token: string, code: RefusalCode, message = /./): Promise<void> {
  const error = await proof(token).then(
    () => assert.fail("it was taken"),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof Refusal, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  for (let one: unknown = error; one instanceof Error; one = one.cause)
    for (const part of token.split(".").filter((text) => text.length > 10)) assert.ok(!String(one).includes(part));
}

test("a token that the API server authenticates is its account's, without any key of ours", async () => {
  await using setting = await openSetting();
  const pod = await setting.proof(tokenOf());
  assert.deepEqual([pod.namespace, pod.name, pod.pod?.name], ["shop", "cart", "cart-7d9f8"]);
  assert.equal((await setting.proof(tokenOf({ pod: false }))).pod, undefined);
});

test("what the API server does not authenticate is refused, however it says so", async (t) => {
  const cases: Readonly<Record<string, JsonRecord>> = {
    "with a reason": { user: {}, error: "invalid bearer token" },
    "without one": { user: {} },
    "in so many words": { authenticated: false },
    "though it says yes beside an error": { ...statusOf(tokenOf()), error: "but" },
    "though it says something like yes": { ...statusOf(tokenOf()), authenticated: "true" },
  };
  for (const [what, status] of Object.entries(cases)) {
    await t.test(what, async () => {
      await using setting = await openSetting((_, response) => reply(response, 201, { status }));
      await refused(setting.proof, tokenOf(), "proof-invalid", /does not authenticate it/);
    });
  }
});

test("an answer about somebody or something else is refused", async (t) => {
  const cases: Readonly<Record<string, readonly [RegExp, (status: JsonRecord, user: JsonRecord) => JsonRecord]>> = {
    "for no audience": [/audience/, (status) => ({ ...status, audiences: undefined })],
    "for the API server's own audience": [/audience/, (status) => ({ ...status, audiences: [issuer.issuer] })],
    "another account": [
      /somebody else/,
      (s, user) => ({ ...s, user: { ...user, username: "system:serviceaccount:shop:till" } }),
    ],
    "a person of that name": [
      /somebody else/,
      (s, user) => ({ ...s, user: { ...user, groups: ["system:authenticated"] } }),
    ],
    "an account made anew": [/somebody else/, (s, user) => ({ ...s, user: { ...user, uid: "another" } })],
    "bound to no pod": [/something else/, (s, user) => ({ ...s, user: { ...user, extra: undefined } })],
    "bound to another pod": [
      /something else/,
      (s, user) => ({
        ...s,
        user: {
          ...user,
          extra: {
            "authentication.kubernetes.io/pod-name": ["cart-7d9f8"],
            "authentication.kubernetes.io/pod-uid": ["another"],
          },
        },
      }),
    ],
  };
  for (const [what, [message, change]] of Object.entries(cases)) {
    await t.test(what, async () => {
      await using setting = await openSetting((token, response) => {
        const { user, ...status } = statusOf(token);
        assert.ok(isRecord(user));
        reply(response, 201, { status: change({ ...status, user }, user) });
      });
      await refused(setting.proof, tokenOf(), "proof-invalid", message);
    });
  }
  await t.test("bound to a pod where the token is bound to none", async () => {
    await using setting = await openSetting((token, response) => {
      const { user, ...status } = statusOf(token);
      const extra = { "authentication.kubernetes.io/pod-name": ["x"], "authentication.kubernetes.io/pod-uid": ["y"] };
      reply(response, 201, { status: { ...status, user: { ...(isRecord(user) ? user : {}), extra } } });
    });
    await refused(setting.proof, tokenOf({ pod: false }), "proof-invalid", /something else/);
  });
});

test("what our own rules refuse never reaches the API server", async (t) => {
  await using setting = await openSetting();
  const hour = 3_600_000;
  const cases: Readonly<Record<string, string>> = {
    "of another audience": tokenOf({ audience: "vault" }),
    "of another issuer": createTokenIssuer("https://elsewhere.example").token(who),
    "that has expired": tokenOf({ issuedAt: new Date(Date.now() - 2 * hour) }),
    "that never expires": tokenOf({ claims: { exp: undefined } }),
    "of a legacy kind, bound to a Secret": tokenOf({
      claims: {
        "kubernetes.io": {
          namespace: "shop",
          secret: { name: "x", uid: "y" },
          serviceaccount: { name: "cart", uid: "z" },
        },
      },
    }),
    "of a user": tokenOf({ claims: { sub: "admin" } }),
    "that is none": "garbage",
    "that is too long": `${tokenOf()}${"a".repeat(9_000)}`,
  };
  for (const [what, token] of Object.entries(cases)) {
    await t.test(what, async () => await refused(setting.proof, token, "proof-invalid"));
  }
  assert.equal(setting.reviews(), 0);
});

test("an API server that does not answer the question is an outage, and never a no", async (t) => {
  const cases: Readonly<Record<string, Answer>> = {
    "it may not be asked": (_, response) => reply(response, 403, { reason: "Forbidden" }),
    "it has no such thing": (_, response) => reply(response, 404, { reason: "NotFound" }),
    "it finds the question wrong": (_, response) => reply(response, 422, { reason: "Invalid" }),
    "it fails": (_, response) => reply(response, 500, { reason: "InternalError" }),
    "it has too much to do": (_, response) => reply(response, 429, {}, { "retry-after": "60" }),
    "it is another server": (_, response) => void response.writeHead(200).end("<html>"),
    "it says nothing about it": (_, response, body) => reply(response, 201, body),
    "it says something else": (_, response) => reply(response, 201, { status: { authenticated: true, user: 1 } }),
    "it hangs up": (_, response) => void response.destroy(),
  };
  for (const [what, answer] of Object.entries(cases)) {
    await t.test(what, async () => {
      await using setting = await openSetting(answer);
      await refused(setting.proof, tokenOf(), "unavailable", /cannot be asked/);
    });
  }
  await t.test("it stalls", async () => {
    await using setting = await openSetting(() => {});
    const begun = performance.now();
    await refused(setting.proof, tokenOf(), "unavailable");
    const ms = performance.now() - begun;
    assert.ok(ms > lookupDeadlineMs - 100 && ms < lookupDeadlineMs * 5, `${ms} ms`);
  });
  await t.test("it is gone", async () => {
    const setting = await openSetting();
    await setting.api[Symbol.asyncDispose]();
    await refused(setting.proof, tokenOf(), "unavailable");
    setting.client[Symbol.dispose]();
  });
});

test("one yes serves its own token for a moment, and a no is never remembered", async () => {
  let answer: Answer = honest;
  await using setting = await openSetting((token, response, body) => answer(token, response, body));
  const [token, other] = [tokenOf(), tokenOf()];
  await Promise.all(Array.from({ length: 50 }, async () => await setting.proof(token)));
  assert.equal(setting.reviews(), 1);
  answer = (_, response) => reply(response, 201, { status: { user: {} } });
  await refused(setting.proof, other, "proof-invalid");
  await refused(setting.proof, other, "proof-invalid");
  assert.equal(setting.reviews(), 3);
  await delay(1_200);
  await refused(setting.proof, token, "proof-invalid");
});

test("of more tokens at once than are let through the rest are told to come again", async () => {
  await using setting = await openSetting();
  const ask = async (): Promise<string> =>
    await setting.proof(tokenOf()).then(
      () => "yes",
      ({ message }: Refusal) => message,
    );
  // All of them are there before the first answer can be; whether that comes in time is the machine's affair.
  const answers = await Promise.all(Array.from({ length: 80 }, ask));
  assert.equal(answers.filter((one) => one.includes("about too much already")).length, 16);
  await eventually(async () => assert.equal(await ask(), "yes"));
});

test("an agent without the cluster's keys is ready and serves; the hub verifies each token again", async () => {
  await using api = await startMemoryApi();
  using client = openClient({ credentials: fixedCredentials(api.access) });
  const make = async (resource: Resource, name: string, spec = {}) =>
    readMeta(
      await createObject(client, resource, resource.namespaced ? { namespace: checkout.namespace } : {}, {
        metadata: { name },
        spec,
      }),
    );
  await make(resources.namespaces, checkout.namespace);
  const account = await make(resources.serviceAccounts, checkout.serviceAccount);
  const pod = await make(resources.pods, "checkout-1", { serviceAccountName: checkout.serviceAccount });
  const tokenBy = ({ token }: TokenIssuer): string =>
    token({
      ...checkout,
      claims: {
        "kubernetes.io": {
          namespace: checkout.namespace,
          pod: { name: pod.name, uid: pod.uid },
          serviceaccount: { name: account.name, uid: account.uid },
        },
      },
    });
  // One that authenticates whatever it is shown, as whoever has taken it over would.
  api.intercept(({ path: asked }, response, { spec }) => {
    if (asked !== path || !isRecord(spec)) return false;
    const claimed = readClaimedAccount(String(spec["token"]), { issuer: tokenIssuerUrl, audiences, at: new Date() });
    reply(response, 201, { status: toStatus(claimed) });
    return true;
  });
  using site = await makeSite();
  await using issuing = await startIssuerOn(site);
  const kubeconfig = writeKubeconfig(site.directory, api.access);
  const kubernetes = agentSchema.shape.kubernetes.parse({ kubeconfig, namespace: "default", tokens: "review" });
  await using agent = await startAgentOf(site, "east", {
    issuers: [issuing.address],
    config: { kubernetes },
    tokens: { jwksFile: undefined },
  });
  await agent.ready();
  using workload = openWorkload(await agent.address(), tlsOf(site, "east"), "east");
  const csr = csrFor(checkoutId);
  assertIssued(await workload.ask({ csr, token: tokenBy(clusterTokens("east")) }));
  const forged = tokenBy(createTokenIssuer(tokenIssuerUrl));
  assertRefused(await workload.ask({ csr, token: forged }), "proof-invalid", /no key of the cluster has signed it/);
  assert.equal(issuing.log.of("refused").length, 1);
});
