/** istiod as `espalier istio values` and Istio's own chart make it: helm renders, nothing is written by hand. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import { espalier } from "../support/processes.ts";
import type { Mount } from "./kubelet.ts";
import type { ControlPlane, Stage } from "./stage.ts";

export interface Rendered {
  readonly configMaps: readonly JsonRecord[];
  /** Its account, and what that may do. */
  readonly rights: readonly JsonRecord[];
  readonly args: readonly string[];
  /** Variables that have a value in the Deployment; those that Kubernetes fills in are not among them. */
  readonly env: Readonly<Record<string, string>>;
  /** Secrets and ConfigMaps that are mounted, and where. */
  readonly mounts: readonly Mount[];
}

/** Nothing of this touches certificates. */
const ofTheStage = [
  // Filters that only Istio's own build of Envoy has.
  "--set=telemetry.enabled=false",
  "--set-string=pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false,pilot.env.PILOT_ENABLE_ALPN_FILTER=false",
  // Two revisions that give the same ServiceEntry an address at the same moment panic (Istio of August 2026).
  "--set-string=pilot.env.PILOT_ENABLE_IP_AUTOALLOCATE=false",
];

/** `more` are values over those that Espalier prints. */
export async function renderIstiod(
  stage: Stage,
  plane: ControlPlane,
  source: string,
  more: object = {},
): Promise<Rendered> {
  const { cluster, tenant, namespace, revision } = plane;
  const asked = ["--cluster", cluster, "--tenant", tenant, "--istio-namespace", namespace, "--chart", "istiod"];
  const revised = revision === undefined ? [] : ["--revision", revision];
  const resources = ["--resources", join(stage.site.directory, "resources")];
  const said = await espalier(["istio", "values", ...asked, ...revised, ...resources]);
  assert.equal(said.code, 0, said.stderr);
  const values = join(stage.folder("charts"), `${cluster}-${namespace}.yaml`);
  writeFileSync(values, said.stdout);
  const over = join(stage.folder("charts"), `${cluster}-${namespace}-more.json`);
  writeFileSync(over, JSON.stringify(more));
  const chart = join(source, "manifests/charts/istio-control/istio-discovery");
  const argv = [
    "template",
    "istiod",
    chart,
    "--namespace",
    namespace,
    "--values",
    values,
    "--values",
    over,
    ...ofTheStage,
  ];
  const made = execFileSync("helm", argv, { encoding: "utf8", maxBuffer: 32 * 1024 * 1024 });
  return readRendered(parseAllDocuments(made).map((one) => ("toJS" in one ? one.toJS() : undefined)));
}

function readRendered(objects: readonly unknown[]): Rendered {
  const ofKind = (kind: string): readonly JsonRecord[] =>
    objects.filter(isRecord).filter((one) => one["kind"] === kind);
  const [deployment] = ofKind("Deployment");
  const pod = recordAt(recordAt(recordAt({ deployment }, "deployment"), "spec"), "template");
  const spec = recordAt(pod, "spec");
  const [container] = listAt(spec, "containers");
  const volumes = new Map(
    listAt(spec, "volumes")
      .filter(isRecord)
      .map((one) => [someTextAt(one, "name"), one]),
  );
  return {
    configMaps: ofKind("ConfigMap"),
    rights: ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].flatMap(ofKind),
    args: listAt(container, "args").map(String),
    env: Object.fromEntries(
      listAt(container, "env")
        .filter(isRecord)
        .filter((one) => typeof one["value"] === "string")
        .map((one) => [someTextAt(one, "name"), textAt(one, "value") ?? ""]),
    ),
    mounts: listAt(container, "volumeMounts")
      .filter(isRecord)
      .flatMap((one): readonly Mount[] => {
        const volume = volumes.get(someTextAt(one, "name")) ?? {};
        const secret = textAt(recordAt(volume, "secret"), "secretName");
        const configMap = textAt(recordAt(volume, "configMap"), "name");
        const path = someTextAt(one, "mountPath");
        if (secret !== undefined) return [{ kind: "Secret", name: secret, path }];
        return configMap === undefined ? [] : [{ kind: "ConfigMap", name: configMap, path }];
      }),
  };
}
