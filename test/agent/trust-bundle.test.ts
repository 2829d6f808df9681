import assert from "node:assert/strict";
import { test } from "node:test";
import type { Distribution } from "../../src/agent/distribution.ts";
import { startTrustBundle } from "../../src/agent/trust-bundle.ts";
import { applyObject } from "../../src/kube/apply.ts";
import { type Client, openClient } from "../../src/kube/client.ts";
import { fixedCredentials } from "../../src/kube/credentials.ts";
import { startEvents } from "../../src/kube/events.ts";
import { recordAt, textAt } from "../../src/kube/json.ts";
import { resources } from "../../src/kube/resource.ts";
import { type Kept, openKeptLog } from "../support/kept-log.ts";
import { type Intercept, type MemoryApi, reply, startMemoryApi } from "../support/kube-memory.ts";
import { eventually } from "../support/patience.ts";

const group = "/apis/certificates.k8s.io";
const name = "example.com:mesh:roots";
const now = (): Date => new Date();
const roots = (rootsPem: string) => ({ rootsPem, istiodRootsPem: `${rootsPem} and tenants'` });

interface Setting extends AsyncDisposable {
  readonly api: MemoryApi;
  readonly client: Client;
  readonly log: Kept;
  start(bundle?: string): Promise<Distribution | undefined>;
  /** In this version, as it stands there. */
  spec(version?: string): Readonly<Record<string, unknown>> | undefined;
}

/** An API server that serves ClusterTrustBundles in these versions, and another resource of the group in v1. */
async function openSetting(versions: readonly string[], more: Intercept = () => false): Promise<Setting> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await startMemoryApi());
  const client = stack.use(openClient({ credentials: fixedCredentials(api.access) }));
  const log = openKeptLog();
  api.intercept((request, response, body) => {
    const [, version] = new RegExp(`^${group}/([^/]+)$`).exec(request.path) ?? [];
    if (request.path === group)
      reply(response, 200, { versions: [...new Set(["v1", ...versions])].map((one) => ({ version: one })) });
    else if (version === undefined) return more(request, response, body);
    else
      reply(response, 200, {
        resources: [
          { name: "certificatesigningrequests" },
          ...(versions.includes(version) ? [{ name: "clustertrustbundles" }] : []),
        ],
      });
    return true;
  });
  const events = stack.use(startEvents({ controller: "test", instance: "test" }, { client, log, now }));
  const kept = stack.move();
  return {
    api,
    client,
    log,
    start: async (bundle = name) => {
      const started = await startTrustBundle(bundle, { client, events, log, now });
      return started && kept.use(started);
    },
    spec: (version = "v1") => {
      const found = api.store.get(`certificates.k8s.io/${version}/clustertrustbundles`, name);
      return found && recordAt(found.object, "spec");
    },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

test("the roots stand in one ClusterTrustBundle of their signer, in the newest version that is served", async (t) => {
  const cases: readonly (readonly [versions: readonly string[], used: string])[] = [
    [["v1beta1", "v1"], "v1"],
    [["v1alpha1", "v1beta1"], "v1beta1"],
    [["v1alpha1"], "v1alpha1"],
  ];
  for (const [versions, used] of cases) {
    await t.test(`${versions.join(" and ")}: ${used}`, async () => {
      await using setting = await openSetting(versions);
      await (await setting.start())?.put(roots("ours"), now);
      assert.deepEqual(setting.spec(used), { signerName: "example.com/mesh", trustBundle: "ours" });
    });
  }
});

test("where it is not served nothing is asked of it, and one line says so", async () => {
  await using setting = await openSetting([]);
  assert.equal(await setting.start(), undefined);
  assert.deepEqual(
    setting.log.lines.map(({ level, event }) => [level, event]),
    [["info", "ClusterTrustBundles are not served"]],
  );
  assert.deepEqual(
    setting.api.requests.map(({ path }) => path),
    [group, `${group}/v1`],
  );
});

test("the same roots change nothing, and none at all are not written", async () => {
  await using setting = await openSetting(["v1"]);
  const bundle = await setting.start();
  await bundle?.put(roots(""), now);
  assert.equal(setting.spec(), undefined);
  await bundle?.put(roots("ours"), now);
  const version = (): number => setting.api.store.version();
  const before = version();
  await bundle?.put(roots("ours"), now);
  await bundle?.put(roots("ours"), now);
  assert.equal(version(), before);
  await bundle?.put(roots("newer"), now);
  assert.deepEqual([setting.spec()?.["trustBundle"], version()], ["newer", before + 1]);
});

async function forge({ client }: Setting, bundle: string): Promise<void> {
  const [domain, path] = bundle.split(":");
  const content = { spec: { signerName: `${domain}/${path}`, trustBundle: "forged" } };
  await applyObject(client, resources.clusterTrustBundles, { name: bundle }, content, {
    fieldManager: "mallory",
    force: true,
  });
}

test("another's roots are overwritten, before and after ours, with an Event", async () => {
  await using setting = await openSetting(["v1"]);
  await forge(setting, name);
  const bundle = await setting.start();
  await bundle?.put(roots("ours"), now);
  assert.equal(setting.spec()?.["trustBundle"], "ours");
  await forge(setting, name);
  await eventually(() => assert.equal(setting.spec()?.["trustBundle"], "ours"));
  await eventually(() => {
    const told = setting.api.store.list("events.k8s.io/v1/events").map((event) => textAt(event, "reason"));
    assert.deepEqual(told, ["TrustOverwritten"]);
  });
  await eventually(() => assert.ok(setting.log.of("foreign trust overwritten").length >= 2));
  assert.deepEqual(bundle?.conflicts(), []);
});

test("an istiod that writes its own bundle is not fought", async () => {
  const istiods = "istio.io:istiod-ca:root-cert";
  await using setting = await openSetting(["v1"]);
  const bundle = await setting.start(istiods);
  await bundle?.put(roots("ours"), now);
  await forge(setting, istiods);
  await eventually(() => assert.deepEqual(bundle?.conflicts(), [`ClusterTrustBundle ${istiods}`]));
  assert.deepEqual(bundle?.lacking(), [`ClusterTrustBundle ${istiods}`]);
  const found = setting.api.store.get("certificates.k8s.io/v1/clustertrustbundles", istiods);
  assert.equal(recordAt(found?.object, "spec")["trustBundle"], "forged");
});

test("a bundle that may not be written is named", async () => {
  await using setting = await openSetting(["v1"], ({ verb }, response) => {
    if (verb !== "PATCH") return false;
    reply(response, 403, { code: 403, reason: "Forbidden", message: "user not permitted to attest" });
    return true;
  });
  const bundle = await setting.start();
  bundle?.put(roots("ours"), now).catch(() => {});
  await eventually(() => assert.deepEqual(bundle?.lacking(), [`ClusterTrustBundle ${name}`]));
  assert.match(String(setting.log.of("trust refused")[0]?.fields["message"]), /not permitted to attest/);
});
