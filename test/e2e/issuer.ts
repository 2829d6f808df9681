/**
 * A hub by its chart on a SQLite file: from an empty cluster to a pod's certificate, upgraded, taken away and installed again. The
 * tests go on from each other, in this order.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { apply, eventually, helm, kubectl, run } from "./cluster.ts";
import {
  agentRelease,
  documents,
  giveVolume,
  hubName,
  hubVerb,
  image,
  issuerRelease,
  layOlderChart,
  openFolder,
  waiting,
} from "./release.ts";
import { audited, rightsOf } from "./rights.ts";
import { given, namespace, refused, request, restrict, rootsIn, start } from "./workload.ts";

const audit = process.env["ESPALIER_E2E_AUDIT"];
const hubs = "espalier-hub";
const system = "espalier-system";
const name = "espalier-issuer";
const account = `${hubs}:${name}`;
const agent = `espalier-agent.${system}.svc:15012`;
const frontend = "spiffe://shop.example/ns/shop/sa/frontend";
const kindNames = ["trustroots", "meshtenants", "meshclusters"];
const folder = await openFolder();
let hubRoot = "";

before(async () => {
  for (const one of [hubs, system, "istio-system", "shop"]) await apply(namespace(one));
  for (const one of [hubs, system]) await restrict(one);
  await giveVolume(hubs, name);
});
after(async () => await folder[Symbol.asyncDispose]());

function release(...values: readonly string[]): readonly string[] {
  return issuerRelease({ name, namespace: hubs, values });
}

async function hub(...verb: readonly string[]): Promise<string> {
  return await hubVerb(hubs, `sts/${name}`, ...verb);
}

const postgres = "database=postgres://espalier@db.example/espalier";
const sealed = "custody.sealed.keyFile=/var/run/secrets/espalier/sealing/key";
const several = [postgres, sealed, "secrets={sealing}", "replicas=3"];

test("a value that the chart does not know, of another type, or that contradicts another is refused", async () => {
  for (const [values, why] of [
    [["databse=x"], /additional properties 'databse' not allowed/],
    [["storage.sise=1Gi"], /additional properties 'sise' not allowed/],
    [["crds.instal=true"], /additional properties 'instal' not allowed/],
    [["replicas=many"], /replicas.*want integer/],
    [["hub="], /hub.*does not match/],
    [["database=mysql://u@h/d"], /database.*does not match/],
    [["database=postgres://u:secret@h/d"], /database.*does not match/],
    [["storage.accessModes={ReadOnlyMany}"], /accessModes.*must be one of/],
    [["service.type=ExternalName"], /service\/type.*must be one of/],
    [["replicas=2"], /replicas: a SQLite file has one issuer/],
    [[postgres, "replicas=2"], /replicas: all issuers need the keys/],
  ] as const)
    refused(await run("helm", ["template", ...release(...values)]), why);
});

test("whatever is chosen, the API server takes what comes of it", async () => {
  for (const values of [
    [],
    several,
    [
      postgres,
      "storage.accessModes={ReadWriteMany}",
      "replicas=2",
      "postgres.passwordFile=/x",
      "serviceAccount.create=false",
    ],
    ["prometheusRule.enabled=false", "operators.enabled=true", "operators.port=443", "retention.keepDays=forever"],
    ["documents.configMap=mesh", "storage.existingClaim=mine", "service.type=LoadBalancer", "service.annotations.a=b"],
    [
      "networkPolicy.egressCidrs={10.0.0.0/8}",
      "podLabels.a=b",
      "podAnnotations.a=b",
      "priorityClassName=system-node-critical",
    ],
  ]) {
    assert.equal((await run("helm", ["lint", "--strict", ...lintable(release(...values))])).code, 0, values.join());
    const { stdout, stderr, code } = await run("helm", ["template", ...release(...values)]);
    assert.equal(code, 0, stderr);
    const dry = await run(
      "kubectl",
      ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"],
      stdout,
    );
    assert.equal(dry.code, 0, `${values.join()}: ${dry.stderr}`);
    assert.equal(dry.stderr, "", values.join());
  }
});

/** `helm lint` takes no release. */
function lintable([, chart = "", ...options]: readonly string[]): readonly string[] {
  return [chart, ...options];
}

test("with documents of a ConfigMap the pods have no token and the account no rights", async () => {
  const { stdout } = await run("helm", ["template", ...release("documents.configMap=mesh")]);
  assert.match(stdout, /automountServiceAccountToken: false\n {6}enableServiceLinks/);
  assert.doesNotMatch(stdout, /kind: ClusterRole/);
});

test("one `helm install` makes a hub, and another start finds it", async () => {
  // An older chart's, so that there is something to upgrade later.
  const chart = await layOlderChart(folder);
  await helm("install", ...issuerRelease({ name, namespace: hubs, chart }), ...waiting);
  const pem = await hub("root", "show", hubName);
  hubRoot = await folder.put("hub-root.pem", pem);
  assert.equal(new X509Certificate(pem).ca, true);
  await restarted();
  assert.equal(await hub("root", "show", hubName), pem);
  for (const kind of kindNames)
    await kubectl("wait", "--for=condition=Established", `crd/${kind}.espalier.dev`, "--timeout=180s");
});

async function restarted(): Promise<void> {
  await kubectl("-n", hubs, "delete", "pod", `${name}-0`, "--wait");
  await kubectl("-n", hubs, "rollout", "status", `sts/${name}`, "--timeout=300s");
}

const own = kindNames.map((kind) => `espalier.dev/${kind}`);
const rights = [
  ...own.flatMap((kind) => [`list ${kind}`, `watch ${kind}`, `patch ${kind}/status`]),
  "patch espalier.dev/trustroots",
  "patch espalier.dev/meshclusters",
];

test("the issuer's account may do what is listed and nothing else", async () => {
  for (const one of [hubs, "kube-system", "shop"]) {
    const common = await rightsOf(`${hubs}:default`, one);
    const found = [...(await rightsOf(account, one))].filter((right) => !common.has(right));
    assert.deepEqual(found.sort(), [...rights].sort(), one);
  }
  for (const what of [
    ["get", "secrets", "-n", hubs],
    ["list", "secrets", "-n", hubs],
    ["get", "configmaps", "-n", hubs],
    ["create", "pods/exec", "-n", hubs],
    ["create", "meshtenants.espalier.dev"],
    ["patch", "meshtenants.espalier.dev"],
    ["delete", "meshclusters.espalier.dev"],
    ["patch", "customresourcedefinitions.apiextensions.k8s.io"],
    ["impersonate", "users"],
  ]) {
    const { stdout } = await run("kubectl", ["auth", "can-i", `--as=system:serviceaccount:${account}`, ...what]);
    assert.equal(stdout.trim(), "no", what.join(" "));
  }
});

test("its pod is what it has to be, and what it is given stays its own", async () => {
  const pod = await kubectl("-n", hubs, "get", "pod", `${name}-0`, "-o", "json");
  const { spec }: { spec: { containers: readonly { securityContext: object }[] } } = JSON.parse(pod);
  assert.deepEqual(spec.containers[0]?.securityContext, {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  const look = `const { statSync, writeFileSync } = require("node:fs");
const modes = ["/data/hub", "/data/hub/keys", "/run/espalier/admin", "/data/hub/espalier.db", "/data/hub/keys/ledger.key.pem"]
  .map((path) => [statSync(path).uid, (statSync(path).mode & 0o777).toString(8)].join(":"));
let written = "written";
try { writeFileSync("/app/x", "") } catch (error) { written = error.code }
console.log(JSON.stringify([...modes, written, process.getuid()]))`;
  assert.deepEqual(JSON.parse(await inIssuer("node", "-e", look)), [
    "1000:700",
    "1000:700",
    "1000:700",
    "1000:600",
    "1000:600",
    "EROFS",
    1000,
  ]);
});

test("documents are objects, and say what became of them", async () => {
  await apply(await documents("e2e"));
  await kubectl("wait", "--for=condition=Accepted", "trustroot/main", "meshcluster/e2e", "--timeout=180s");
  await hub("root", "create", "main", "--reason", "e2e");
  await hub("root", "create", "--serving", "e2e", "--reason", "e2e");
  for (const one of ["trustroot/main", "meshtenant/shop", "meshcluster/e2e"])
    await kubectl("wait", "--for=condition=Ready", one, "--timeout=180s");
});

test("an agent by its own chart, and a pod's certificate", async () => {
  const values = ["cluster=e2e", `issuers={${name}.${hubs}.svc:15443}`];
  await helm("install", ...agentRelease({ name: "espalier-agent", namespace: system, values }, hubRoot), ...waiting);
  const serving = await hub("root", "show", "e2e", "--serving");
  await eventually(async () => assert.equal(await rootsIn("shop"), serving));
  await start("shop/frontend");
  given(await request(agent, "shop/frontend"), frontend);
  assert.match(await hub("ledger", "list", "--log", "shop"), new RegExp(frontend));
});

test("no right was missing and none was there for nothing", { skip: audit === undefined }, async () => {
  const asked = await audited(audit ?? "", account);
  assert.deepEqual(
    [...asked].filter(([, codes]) => codes.has(403)).map(([what]) => what),
    [],
  );
  // The audit log names a status as its object.
  const needed = new Set(rights.map((right) => right.replace("/status", "")));
  assert.deepEqual(
    [...needed].filter((what) => !asked.has(what)),
    [],
  );
});

interface Root {
  readonly kind: string;
  readonly name: string;
  readonly sha256: string;
}

async function rootsOf(): Promise<readonly Root[]> {
  const roots: readonly Root[] = JSON.parse(await hub("root", "list", "-o", "json"));
  return roots.map(({ kind, name, sha256 }) => ({ kind, name, sha256 }));
}

/** The objects as people have declared them; another one of the same name has another uid. */
async function declared(): Promise<readonly object[]> {
  const text = await kubectl("get", kindNames.join(), "-o", "json");
  const { items }: { items: readonly { kind: string; spec: object; metadata: Readonly<Record<string, unknown>> }[] } =
    JSON.parse(text);
  return items.map(({ kind, spec, metadata: { name, uid, generation } }) => ({ kind, name, uid, generation, spec }));
}

/** What must be the same whatever is done to the release, once the last entry has its position in the log. */
async function kept(): Promise<object> {
  const entries = await eventually(async () => {
    const listed: readonly { readonly position?: number }[] = JSON.parse(
      await hub("ledger", "list", "--log", "shop", "-o", "json"),
    );
    assert.ok(listed.length > 0 && listed.every(({ position }) => position !== undefined));
    return listed;
  });
  return {
    roots: await rootsOf(),
    objects: await declared(),
    entries,
    keys: await inIssuer("sh", "-c", "cd /data/hub/keys && sha256sum *"),
  };
}

async function inIssuer(...command: readonly string[]): Promise<string> {
  return await kubectl("-n", hubs, "exec", `sts/${name}`, "-c", "issuer", "--", ...command);
}

/** Whether the API server takes and shows what is newer than the chart that was installed first. */
async function definesNewer(): Promise<object> {
  const [headings = ""] = (await kubectl("get", "meshtenant", "shop")).split("\n");
  const merged = ["--type=merge", "--patch", JSON.stringify({ spec: { crl: { nextUpdateDays: 14 } } })];
  const read = ["--dry-run=server", "-o", "jsonpath={.spec.crl.nextUpdateDays}"];
  return { field: await kubectl("patch", "meshtenant", "shop", ...merged, ...read), column: /\bROOT\b/.test(headings) };
}

test("an upgrade changes what was asked and the definitions, and loses nothing", async () => {
  const before = await kept();
  assert.deepEqual(await definesNewer(), { field: "", column: false });
  const hubRoot = (await rootsOf()).find(({ kind }) => kind === "hub");
  await helm("upgrade", ...release("log=debug", `hubRootSha256=${hubRoot?.sha256}`), ...waiting);
  assert.match(await inIssuer("cat", "/etc/espalier/issuer.yaml"), /^log: debug$/m);
  assert.deepEqual(await kept(), before);
  // The API server needs a moment for a definition that has changed.
  await eventually(async () => assert.deepEqual(await definesNewer(), { field: "14", column: true }));
  await servedAgain();
  await hub("ledger", "verify");
});

test("a hub that was made is never made anew over an empty database", async () => {
  await inIssuer("mv", "/data/hub", "/data/aside");
  await kubectl("-n", hubs, "delete", "pod", `${name}-0`, "--wait");
  const said = async () => await kubectl("-n", hubs, "logs", `${name}-0`, "-c", "init");
  await eventually(async () => assert.match(await said(), /hubRootSha256/));
  // As an operator mends it: with the volume in another pod.
  await mend("rm -rf /data/hub && mv /data/aside /data/hub");
  await restarted();
  await servedAgain();
});

/** The hub was away, so its agent was not ready; a probe after the hub is back the agent's Service leads to it again. */
async function servedAgain(): Promise<void> {
  await eventually(async () => given(await request(agent, "shop/frontend"), frontend));
}

async function mend(command: string): Promise<void> {
  const overrides = {
    spec: {
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        runAsGroup: 1000,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "mend",
          image: image,
          command: ["sh", "-c", command],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          volumeMounts: [{ name: "data", mountPath: "/data" }],
        },
      ],
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: name } }],
    },
  };
  await kubectl(
    "-n",
    hubs,
    "run",
    "mend",
    `--image=${image}`,
    "--restart=Never",
    `--overrides=${JSON.stringify(overrides)}`,
  );
  await kubectl("-n", hubs, "wait", "pod/mend", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s");
  await kubectl("-n", hubs, "delete", "pod", "mend");
}

test("uninstalled it leaves keys, ledger, definitions and objects, and installed again it goes on", async () => {
  const before = await kept();
  await helm("uninstall", name, "-n", hubs, "--wait");
  assert.equal(
    await kubectl(
      "-n",
      hubs,
      "get",
      "statefulsets,services,configmaps,serviceaccounts",
      "-l",
      "app.kubernetes.io/instance=espalier-issuer",
      "-o",
      "name",
    ),
    "",
  );
  assert.doesNotMatch(await kubectl("get", "clusterroles,clusterrolebindings", "-o", "name"), /espalier:espalier-hub/);
  assert.match(await kubectl("-n", hubs, "get", "pvc", "-o", "name"), new RegExp(name));
  assert.equal((await kubectl("get", "espalier", "-o", "name")).trim().split("\n").length, 3);
  await helm("install", ...release(), ...waiting);
  assert.deepEqual(await kept(), before);
  await servedAgain();
});
