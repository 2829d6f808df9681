import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../src/kube/api-error.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { type Access, type Credentials, fixedCredentials } from "../../src/kube/credentials.ts";
import { type Intercept, type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";

const path = "/api/v1/namespaces/default";
const busy = { kind: "Status", code: 429, reason: "TooManyRequests", message: "busy" };

/** The first `times` requests get this instead. */
function first(times: number, answer: Intercept): Intercept {
  let left = times;
  return (request, response, body) => {
    left -= 1;
    return left >= 0 && answer(request, response, body);
  };
}

const answerWith =
  (status: number, body: unknown, headers: Record<string, string> = {}): Intercept =>
  (_, response) => {
    reply(response, status, body, headers);
    return true;
  };

const open = (api: MemoryApi): Client =>
  openClient({ credentials: fixedCredentials(api.access), backOff: { msMin: 5, msMax: 20 } });

test("429 is waited out as long as the server says, whatever the verb", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  for (const verb of ["GET", "DELETE"] as const) {
    api.intercept(first(1, answerWith(429, busy, { "retry-after": "1" })));
    const begun = performance.now();
    await client.call({ verb, path });
    assert.ok(performance.now() - begun >= 990);
  }
});

test("429 that asks for more time than there is ends the call at once, with the server's own words", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  api.intercept(answerWith(429, busy, { "retry-after": "30" }));
  const begun = performance.now();
  await assert.rejects(
    client.call({ verb: "GET", path, deadlineMs: 20_000 }),
    (error) => error instanceof ApiError && error.code === "unavailable" && error.retryAfterMs === 30_000,
  );
  assert.ok(performance.now() - begun < 15_000);
  assert.equal(api.requests.length, 1);
});

test("503 is tried again for what reads or can be repeated, and for nothing else", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  const tries = async (call: object, verb: "GET" | "PUT") => {
    api.requests.length = 0;
    api.intercept(first(2, answerWith(503, {})));
    await client
      .call({ verb, path, body: { kind: "Namespace", metadata: { name: "default" } }, ...call })
      .catch(() => 0);
    return api.requests.length;
  };
  assert.equal(await tries({}, "GET"), 3);
  assert.equal(await tries({ repeatable: true }, "PUT"), 3);
  assert.equal(await tries({}, "PUT"), 1);
});

test("a write whose connection breaks is not sent again, unless it can be repeated", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  const broken: Intercept = (_, response) => {
    response.destroy();
    return true;
  };
  api.intercept(first(1, broken));
  await assert.rejects(client.call({ verb: "POST", path, body: {} }), { code: "unavailable" });
  assert.equal(api.requests.length, 1);
});

test("what stays broken is refused after a few tries, with the last cause", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  api.intercept(answerWith(500, { message: "etcdserver: no leader" }));
  await assert.rejects(client.call({ verb: "GET", path }), {
    code: "unavailable",
    message: /500 etcdserver: no leader/,
  });
  assert.ok(api.requests.length > 2 && api.requests.length < 10);
});

test("that we may not is an outage, not a caller's fault", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  for (const status of [401, 403]) {
    api.intercept(answerWith(status, { code: status, reason: "Forbidden", message: "no" }));
    await assert.rejects(client.call({ verb: "GET", path }), { code: "unavailable", status });
  }
});

test("an answer that is too long, no JSON, or a redirect is refused", async () => {
  await using api = await startMemoryApi();
  using client = open(api);
  api.intercept(answerWith(200, "x".repeat(10_000)));
  await assert.rejects(client.call({ verb: "GET", path, bytesMax: 1_000 }), { code: "internal", message: /longer/ });
  assert.equal(api.requests.length, 1);
  api.intercept((_, response) => {
    response.end("<html>");
    return true;
  });
  await assert.rejects(client.call({ verb: "GET", path, deadlineMs: 500 }), { code: "unavailable" });
  api.intercept(answerWith(302, {}, { location: "https://elsewhere.example/" }));
  await assert.rejects(client.call({ verb: "GET", path }), { status: 302 });
});

test("a token that has rotated is looked at again when the server refuses the old one", async () => {
  let valid = "old";
  await using api = await startMemoryApi({ token: () => valid });
  let onDisk = "old";
  let given = "old";
  const credentials: Credentials = {
    current: async (again) => {
      if (again === true) given = onDisk;
      return { ...api.access, token: given };
    },
  };
  using client = openClient({ credentials });
  await client.call({ verb: "GET", path });
  valid = "new";
  await assert.rejects(client.call({ verb: "GET", path }), { status: 401 });
  onDisk = "new";
  await client.call({ verb: "POST", path: "/api/v1/namespaces", body: { kind: "Namespace", metadata: { name: "x" } } });
  assert.equal(api.connections(), 1, "a token is no reason for another connection");
});

test("another CA means other connections, and those under way end in peace", async () => {
  await using before = await startMemoryApi();
  await using after = await startMemoryApi({ fresh: true });
  let access: Access = before.access;
  using client = openClient({ credentials: { current: async () => access } });
  const slow = Promise.withResolvers<void>();
  before.intercept((_, response) => {
    void slow.promise.then(() => reply(response, 200, { slow: true }));
    return true;
  });
  const underWay = client.call({ verb: "GET", path });
  while (before.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  access = after.access;
  await client.call({ verb: "GET", path });
  slow.resolve();
  assert.deepEqual(await underWay, { slow: true });
  // The old CA says nothing for the new server.
  access = { ...after.access, tls: before.access.tls };
  await assert.rejects(client.call({ verb: "GET", path, deadlineMs: 1_000 }), { code: "unavailable" });
});
