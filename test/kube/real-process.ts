/** What happens to a real API server's process, and what an informer makes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Access } from "../../src/kube/credentials.ts";
import { startInformer } from "../../src/kube/informer.ts";
import { readConfigMap } from "../../src/kube/meta.ts";
import { getObject } from "../../src/kube/objects.ts";
import { resources } from "../../src/kube/resource.ts";
import { silentLog } from "../../src/ops/log.ts";
import { createConfigMap, type OpenCluster, openSetting, type Setting, until } from "../contract/kube-setting.ts";
import { restart, type ServerProcess } from "../support/kube-process.ts";

const start = ({ client, namespace }: Setting, silenceMsMax = 130_000) =>
  startInformer(
    {
      resource: resources.configMaps,
      namespace,
      read: readConfigMap,
      indexes: {},
      silenceMsMax,
      backOff: { msMin: 50, msMax: 500 },
    },
    { client, now: () => new Date(), log: silentLog },
  );

export function realContract(open: OpenCluster, server: ServerProcess, access: Access): void {
  test("real: an informer outlives the API server's death by itself", async () => {
    await using setting = await openSetting(open);
    await using informer = start(setting);
    await informer.synced;
    await createConfigMap(setting, "before");
    await until("before is seen", () => informer.get("before", setting.namespace) !== undefined);
    const known = informer.list().length;
    await restart(server, access);
    assert.equal(informer.list().length, known);
    await createConfigMap(setting, "after");
    await until("after is seen", () => informer.get("after", setting.namespace) !== undefined);
  });

  test("real: an API server that stands still is noticed, and calls end at their deadline", async () => {
    await using setting = await openSetting(open);
    const { client, namespace } = setting;
    await using informer = start(setting, 1_000);
    await informer.synced;
    process.kill(server.pid, "SIGSTOP");
    try {
      const begun = performance.now();
      const get = getObject(client, resources.namespaces, { name: namespace }, { deadlineMs: 500 });
      await assert.rejects(get, { code: "unavailable" });
      assert.ok(performance.now() - begun < 8_000, "the usual deadline is ten seconds");
      await delay(1_500);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    await createConfigMap(setting, "after");
    await until("after is seen", () => informer.get("after", namespace) !== undefined);
  });
}
