/** Our resource definitions on a real API server. */
import { parse } from "yaml";
import { applyObject } from "../../src/kube/apply.ts";
import type { Client } from "../../src/kube/client.ts";
import { isRecord, listAt, recordAt } from "../../src/kube/json.ts";
import { getObject } from "../../src/kube/objects.ts";
import { until } from "../contract/kube-setting.ts";
import { crdFiles } from "../repo/crds.ts";
import { read } from "../repo/sources.ts";

export const definitions = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
} as const;

/** As they are checked in, the hub's or the agents'; returns when they are served. */
export async function applyCrds(client: Client, of: "hub" | "agent" = "hub"): Promise<void> {
  const chart = { hub: "charts/espalier-crds/templates", agent: "charts/espalier-agent-crds/templates" }[of];
  for (const path of crdFiles([chart]).keys()) {
    const content: unknown = parse(read(path));
    const name = String(recordAt(content, "metadata")["name"]);
    await applyObject(client, definitions, { name }, { spec: recordAt(content, "spec") }, { force: true });
    await until(`${name} is established`, async () => {
      const status = recordAt(await getObject(client, definitions, { name }), "status");
      return listAt(status, "conditions").some(
        (one) => isRecord(one) && one["type"] === "Established" && one["status"] === "True",
      );
    });
  }
}
