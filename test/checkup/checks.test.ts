import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hashesOf } from "../../src/agent/hub-roots.ts";
import { checks, runChecks } from "../../src/checkup/checks.ts";
import { openView, secretText } from "../../src/checkup/view.ts";
import { recordAt } from "../../src/kube/json.ts";
import { read, tableBelow } from "../repo/sources.ts";
import { writeKubeconfig } from "../support/kube-cluster.ts";
import { makeSite } from "../support/site.ts";
import { check, container, names, openStage, put, type Stage, template, type World, withData } from "./stage.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => await stage[Symbol.asyncDispose]());

const state = `v1/secrets ${names.system}/${names.release}-state`;
const istiodTls = `v1/secrets ${names.istio}/istiod-tls`;
const injector = `v1/configmaps ${names.istio}/istio-sidecar-injector`;
const istiod = `apps/v1/deployments ${names.istio}/istiod`;
const ztunnel = `apps/v1/daemonsets ${names.istio}/ztunnel`;
const lease = `coordination.k8s.io/v1/leases ${names.system}/${names.release}`;
const service = `v1/services ${names.system}/${names.release}`;
const base64 = (text: string): string => Buffer.from(text).toString("base64");

const injectorOf = (global: object): Parameters<typeof put>[2] => withData({ values: JSON.stringify({ global }) });
const told = { caAddress: "espalier-agent.espalier-system.svc:15012", multiCluster: { clusterName: "east" } };

/** The agent's configuration with other keys. */
function configure(world: World, more: object): void {
  put(world, `v1/configmaps ${names.system}/${names.release}`, (one) => {
    const before: object = JSON.parse(String(recordAt(one, "data")["agent.yaml"]));
    return withData({ "agent.yaml": JSON.stringify({ ...before, ...more }) })(one);
  });
}

test("a healthy cluster passes every check", async () => {
  const { findings } = await check(stage);
  assert.deepEqual(
    findings.filter((one) => one.state !== "ok"),
    [],
  );
  assert.deepEqual(
    findings.map(({ id }) => id),
    checks.map(({ id }) => id),
  );
});

/** What the agents keep, with other parts. */
function keeping(parts: object): ReturnType<typeof withData> {
  return (secret) => {
    const kept: object = JSON.parse(secretText(secret, "trust.json") ?? "");
    return withData({ "trust.json": base64(JSON.stringify({ ...kept, ...parts })) })(secret);
  };
}

/** Where the hub told them of nobody. */
const withoutTenants = keeping({ tenants: [] });

const bundle = "istio.io:istiod-ca:root-cert";

function wantBundle(world: World): void {
  configure(world, {
    kubernetes: { namespace: names.system, ztunnelAccounts: [names.zt], clusterTrustBundle: bundle },
  });
}

function putBundle(world: World, version: string, trustBundle: string | undefined): void {
  const made = { kind: "ClusterTrustBundle", metadata: { name: bundle }, spec: { trustBundle } };
  put(world, `certificates.k8s.io/${version}/clustertrustbundles ${bundle}`, () => made);
}

test("a ClusterTrustBundle with the same roots is as it should be, in whatever version it is served", async () => {
  const checked = await check(stage, (world) => {
    wantBundle(world);
    putBundle(world, "v1beta1", stage.site.servingRootsPem["east"]);
  });
  assert.equal(checked.of("trust-bundle").state, "ok");
  assert.match(checked.of("trust-bundle").says, /^istio\.io:istiod-ca:root-cert is as version/);
});

interface Case {
  readonly id: string;
  readonly broken: string;
  readonly change: (world: World) => void;
  readonly says: RegExp;
  readonly fix: RegExp;
  readonly state?: "warn";
}

const hourMs = 3_600_000;

const cases: readonly Case[] = [
  {
    id: "configuration",
    broken: "there is no release",
    change: ({ objects }) => void objects.delete(`v1/configmaps ${names.system}/${names.release}`),
    says: /there is no ConfigMap espalier-system\/espalier-agent/,
    fix: /--namespace and --name/,
  },
  {
    id: "configuration",
    broken: "a key that there isn't",
    change: (world) => configure(world, { hubb: "x" }),
    says: /hubb: there is no such key/,
    fix: /helm upgrade/,
  },
  {
    id: "configuration",
    broken: "another hub root than the one that was told",
    change: (world) => configure(world, { hubRootSha256: "0".repeat(64) }),
    says: /hubRootSha256: the hub root in hubRoots is another one/,
    fix: /helm upgrade/,
  },
  {
    id: "clock",
    broken: "this machine's clock",
    change: (world) => Object.assign(world, { now: () => new Date(Date.now() + 90_000) }),
    says: /the API server's clock is (8[89]|9[01]) s behind this machine's/,
    fix: /NTP/,
  },
  {
    id: "rights",
    broken: "a right that is missing",
    change: (world) =>
      Object.assign(world, { may: (right: string) => !right.endsWith("patch configmaps istio-ca-root-cert") }),
    says: /may not patch configmaps istio-ca-root-cert$/,
    fix: /rbac\.yaml/,
  },
  {
    id: "rights",
    broken: "rights of another account",
    change: (world) => {
      const may = (right: string): boolean => right.startsWith("system:serviceaccount:espalier-system:espalier-agent ");
      Object.assign(world, { may });
      put(world, `apps/v1/deployments ${names.system}/${names.release}`, (one) => ({
        ...one,
        spec: template({ serviceAccountName: "other" }),
      }));
    },
    says: /may not get pods, list pods, watch pods and \d+ more/,
    fix: /rbac\.yaml/,
  },
  {
    id: "hub",
    broken: "an issuer that is away",
    change: (world) => {
      configure(world, { issuers: ["127.0.0.1:1"] });
      Object.assign(world, { readyz: "waiting for a connection to an issuer\n" });
    },
    says: /no issuer answers at 127\.0\.0\.1:1 \(ECONNREFUSED\)/,
    fix: /espalier issuer run/,
  },
  {
    id: "hub",
    broken: "an issuer of another name",
    change: (world) => configure(world, { issuerName: "issuer.elsewhere.example" }),
    says: /its certificate does not hold \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    fix: /issuerName/,
  },
  {
    id: "istiod-signing",
    broken: "istiod's own CA",
    change: (world) => put(world, istiod, (one) => ({ ...one, spec: template(container({})) })),
    says: /istiod in istio-system has its own CA on/,
    fix: /espalier istio values --cluster east \(pilot\.env\.ENABLE_CA_SERVER="false"\)/,
  },
  {
    id: "istiod-signing",
    broken: "an old istiod that still writes",
    change: (world) =>
      Object.assign(world, {
        readyz: "waiting for istiod to stop signing: it still writes istio-ca-root-cert in istio-system\n",
      }),
    says: /an istiod with its CA on has written its own root \(istiod to stop signing: .*istio-system\)/,
    fix: /rollout status/,
  },
  {
    id: "agent",
    broken: "a serving root that nobody made",
    change: (world) =>
      Object.assign(world, { readyz: "waiting for a serving certificate (has its serving root been created?)\n" }),
    says: /espalier-agent-1 waits for a serving certificate/,
    fix: /espalier root create --serving east/,
  },
  {
    id: "agent",
    broken: "a hub that has none of the cluster's token keys",
    change: (world) =>
      Object.assign(world, {
        readyz: "waiting for the cluster's token keys at the hub (there: espalier cluster keys list)\n",
      }),
    says: /espalier-agent-1 waits for the cluster's token keys at the hub/,
    fix: /espalier cluster keys list east; .*-state/,
  },
  {
    id: "agent",
    broken: "no pods",
    change: ({ objects }) => void objects.delete(`v1/pods ${names.system}/espalier-agent-1`),
    says: /no pod of the agent runs in espalier-system/,
    fix: /describe pods/,
  },
  {
    id: "leader",
    broken: "a Lease that nobody renews",
    change: (world) =>
      put(world, lease, (one) => ({
        ...one,
        spec: {
          holderIdentity: "gone",
          leaseDurationSeconds: 15,
          renewTime: new Date(Date.now() - hourMs).toISOString().replace("Z", "000Z"),
        },
      })),
    says: /no agent leads: gone renewed/,
    fix: /logs/,
  },
  {
    id: "leader",
    broken: "no Lease",
    change: ({ objects }) => void objects.delete(lease),
    says: /no agent has ever led/,
    fix: /logs/,
  },
  {
    id: "service",
    broken: "no Service",
    change: ({ objects }) => void objects.delete(service),
    says: /there is no Service espalier-system\/espalier-agent/,
    fix: /helm upgrade/,
  },
  {
    id: "service",
    broken: "a Service without endpoints",
    change: ({ objects }) => void objects.delete(`discovery.k8s.io/v1/endpointslices ${names.system}/espalier-agent-x`),
    says: /nobody answers behind the Service/,
    fix: /get pods/,
  },
  {
    id: "service",
    broken: "a Service of another port",
    change: (world) => put(world, service, (one) => ({ ...one, spec: { ports: [{ port: 443 }] } })),
    says: /has no port 15012/,
    fix: /helm upgrade/,
  },
  {
    id: "serving-certificate",
    broken: "no serving certificate",
    change: (world) => put(world, state, withData({ "serving.pem": base64("") })),
    says: /the agents have no serving certificate/,
    fix: /espalier root create --serving east/,
  },
  {
    id: "ca-address",
    broken: "proxies that ask istiod",
    change: (world) => put(world, injector, injectorOf({ ...told, caAddress: "" })),
    says: /every proxy of istiod in istio-system asks istiod for certificates/,
    fix: /^set global\.caAddress: espalier-agent\.espalier-system\.svc:15012$/,
  },
  {
    id: "ca-address",
    broken: "proxies that ask somebody else",
    change: (world) => put(world, injector, injectorOf({ ...told, caAddress: "ca.example:443" })),
    says: /asks ca\.example:443, which is not this agent/,
    fix: /^set global\.caAddress: espalier-agent\.espalier-system\.svc:15012$/,
  },
  {
    id: "ca-address",
    broken: "a name that the certificate has not",
    change: (world) => put(world, injector, injectorOf({ ...told, caAddress: "espalier-agent.espalier-system:15012" })),
    says: /the agents' certificate has no such name/,
    fix: /add espalier-agent\.espalier-system to servingNames of MeshCluster "east"/,
  },
  {
    id: "ca-address",
    broken: "another port",
    change: (world) =>
      put(world, injector, injectorOf({ ...told, caAddress: "espalier-agent.espalier-system.svc:443" })),
    says: /asks at port 443 of the agent/,
    fix: /15012$/,
  },
  {
    id: "ca-address",
    broken: "a ztunnel that asks istiod",
    change: (world) =>
      put(world, ztunnel, (one) => ({
        ...one,
        spec: template(container({ CA_ADDRESS: "istiod.istio-system.svc:15012" })),
      })),
    // The agents' certificate has that name too.
    says: /ztunnel in istio-system asks istiod at istiod\.istio-system\.svc:15012, which gives none/,
    fix: /caAddress of the ztunnel chart: espalier-agent/,
  },
  {
    id: "roots",
    broken: "a namespace without roots",
    change: ({ objects }) => void objects.delete("v1/configmaps shop/istio-ca-root-cert"),
    says: /istio-ca-root-cert is missing in 1 of \d namespaces \(shop\)/,
    fix: /leading agent/,
  },
  {
    id: "roots",
    broken: "foreign roots",
    change: (world) => put(world, "v1/configmaps shop/istio-ca-root-cert", withData({ "root-cert.pem": "forged" })),
    says: /somebody else's roots in 1 of \d namespaces \(shop\)/,
    fix: /kubectl -n shop get configmap istio-ca-root-cert -o yaml --show-managed-fields/,
  },
  {
    id: "roots",
    broken: "roots of an earlier time",
    change: (world) =>
      put(
        world,
        `v1/configmaps ${names.istio}/istio-ca-root-cert`,
        withData({ "root-cert.pem": stage.site.servingRootsPem["east"] }),
      ),
    says: /roots of an earlier time in 1 of \d namespaces \(istio-system\)/,
    fix: /trust not put in force/,
    state: "warn",
  },
  {
    id: "trust-bundle",
    broken: "an API server without ClusterTrustBundles",
    change: wantBundle,
    says: /there is no ClusterTrustBundle istio\.io:istiod-ca:root-cert/,
    fix: /feature gate/,
  },
  {
    id: "trust-bundle",
    broken: "a foreign bundle",
    change: (world) => {
      wantBundle(world);
      putBundle(world, "v1beta1", "forged");
    },
    says: /istio\.io:istiod-ca:root-cert has somebody else's roots/,
    fix: /--show-managed-fields/,
  },
  {
    id: "istiod-certificate",
    broken: "no istiod-tls",
    change: ({ objects }) => void objects.delete(istiodTls),
    says: /there is no Secret istio-system\/istiod-tls/,
    fix: /grep istiod-tls/,
  },
  {
    id: "istiod-certificate",
    broken: "a certificate that is not ours",
    change: (world) => put(world, istiodTls, withData({ "tls.crt": base64(stage.site.hubRootPem) })),
    says: /is not ours/,
    fix: /rollout restart deployment\/espalier-agent/,
  },
  {
    id: "istiod-certificate",
    broken: "a revision whose name is in no certificate",
    change: (world) => {
      const metadata = {
        namespace: names.istio,
        name: "istiod-canary",
        labels: { app: "istiod", "istio.io/rev": "canary" },
      };
      const spec = template(container({ ENABLE_CA_SERVER: "false" }));
      put(world, `apps/v1/deployments ${names.istio}/istiod-canary`, () => ({ kind: "Deployment", metadata, spec }));
      for (const [name, of] of [
        ["istio-canary", "istio"],
        ["istio-sidecar-injector-canary", "istio-sidecar-injector"],
      ] as const) {
        const original = world.objects.get(`v1/configmaps ${names.istio}/${of}`) ?? {};
        const copy = { ...original, metadata: { namespace: names.istio, name } };
        put(world, `v1/configmaps ${names.istio}/${name}`, () => copy);
      }
    },
    says: /lacks istiod-canary\.istio-system\.svc/,
    fix: /servingNames of MeshCluster "east"/,
  },
  {
    id: "istiod-port",
    broken: "an istiod older than its certificate",
    change: (world) => {
      const containerStatuses = [{ state: { running: { startedAt: new Date(Date.now() - hourMs).toISOString() } } }];
      put(world, `v1/pods ${names.istio}/istiod-1`, (one) => ({ ...one, status: { containerStatuses } }));
      Object.assign(world, { istiodPort: "no such address" });
    },
    says: /istiod in istio-system does not serve port 15012: it started before there was a certificate/,
    fix: /kubectl -n istio-system rollout restart deployment\/istiod/,
  },
  {
    id: "istiod-port",
    broken: "an istiod that does not listen",
    change: (world) =>
      void Object.assign(world, { istiodPort: "dial tcp 10.1.2.3:15012: connect: connection refused" }),
    says: /istiod in istio-system does not serve port 15012/,
    fix: /rollout restart deployment\/istiod/,
  },
  {
    id: "ca-address",
    broken: "a proxy's metadata that say otherwise",
    change: (world) =>
      put(
        world,
        `v1/configmaps ${names.istio}/istio`,
        withData({
          mesh: "trustDomain: shop.example\ndefaultConfig: { proxyMetadata: { CA_ADDR: 'ca.example:443' } }",
        }),
      ),
    says: /asks ca\.example:443, which is not this agent/,
    fix: /^set meshConfig\.defaultConfig\.proxyMetadata\.CA_ADDR: espalier-agent/,
  },
  {
    id: "trust-domain",
    broken: "Istio's own trust domain",
    change: (world) =>
      put(world, `v1/configmaps ${names.istio}/istio`, withData({ mesh: "rootNamespace: istio-system\n" })),
    says: /is of trust domain "cluster\.local", and this cluster's tenants are of shop\.example/,
    fix: /^set meshConfig\.trustDomain: shop\.example$/,
  },
  {
    id: "trust-domain",
    broken: "a cluster that is no tenant's, before Istio is there too",
    change: (world) => {
      put(world, state, withoutTenants);
      for (const key of [istiod, ztunnel]) world.objects.delete(key);
    },
    says: /no tenant has a rule for this cluster and a root/,
    fix: /give a MeshTenant a rule that names it/,
  },
  {
    id: "cluster-name",
    broken: "Istio's own name for the cluster",
    change: (world) => put(world, injector, injectorOf({ ...told, multiCluster: { clusterName: "" } })),
    says: /says that it is of cluster "Kubernetes", and the agents are of "east"/,
    fix: /multiCluster\.clusterName: east/,
  },
  {
    id: "audience",
    broken: "tokens for somebody else",
    change: (world) => put(world, injector, injectorOf({ ...told, sds: { token: { aud: "vault" } } })),
    says: /has tokens for "vault", and the agents take those for istio-ca/,
    fix: /tokens\.audiences/,
  },
  {
    id: "ztunnel-account",
    broken: "a ztunnel that nobody knows",
    change: (world) =>
      configure(world, { kubernetes: { namespace: names.system, ztunnelAccounts: ["kube-system/ztunnel"] } }),
    says: /ztunnel runs as istio-system\/ztunnel, which may not ask for anybody/,
    fix: /add istio-system\/ztunnel to kubernetes\.ztunnelAccounts/,
  },
];

for (const { id, broken, change, says, fix, state: expected = "fail" } of cases) {
  test(`${broken}: ${id} says so, and nothing above it does`, async () => {
    const checked = await check(stage, change);
    const found = checked.of(id);
    assert.equal(found.state, expected, JSON.stringify(checked.findings, undefined, 2));
    assert.match(found.says, says);
    assert.ok("fix" in found);
    assert.match(found.fix, fix);
    // Whatever follows from it stands below.
    if (expected === "fail") assert.equal(checked.first?.id, id, JSON.stringify(checked.first));
  });
}

test("every check has failed here, but those that need another world", () => {
  const failed = new Set(cases.map(({ id }) => id));
  assert.deepEqual(
    checks.map(({ id }) => id).filter((id) => !failed.has(id)),
    ["api-server", "hub-clock"],
  );
});

test("an API server that is away: everything else is skipped", async () => {
  const access = { server: new URL("https://127.0.0.1:1"), tls: { ca: stage.site.hubRootPem } };
  const kubeconfig = writeKubeconfig(stage.site.directory, access);
  using view = await openView({ kubeconfig, namespace: "a", name: "b", now: () => new Date() });
  const [first, ...others] = await runChecks(view);
  assert.equal(first?.state, "fail");
  assert.match(first.says, /the API server cannot be asked: 127\.0\.0\.1:1 does not answer \(ECONNREFUSED\)/);
  for (const one of others) assert.equal(one.state, "skipped");
});

test("a hub whose clock is another one", async () => {
  // As against the API server's clock, whatever this machine's says.
  using view = await openView({
    kubeconfig: writeKubeconfig(stage.site.directory, { server: new URL("https://127.0.0.1:1"), tls: {} }),
    namespace: "a",
    name: "b",
    now: () => new Date(),
  });
  const hubClock = checks.find(({ id }) => id === "hub-clock");
  const { config, ...site } = { config: { issuers: ["a:1"], hub: "h" }, hubRootsPem: stage.site.hubRootPem };
  for (const [aheadMs, expected] of [
    [90_000, "fail"],
    [30_000, "warn"],
    [1_000, "ok"],
  ] as const) {
    const verdict = await hubClock?.judge({
      ...view,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the check reads of it
      site: async () => ({ config, ...site }) as unknown as Awaited<ReturnType<typeof view.site>>,
      trust: async () => undefined,
      server: async () => ({ version: "", aheadMs: -5_000 }),
      dial: async () => ({ kind: "answers", aheadMs: aheadMs - 5_000 }),
    });
    assert.equal(verdict?.state, expected);
  }
});

test("from outside, an issuer that only the agents reach is none of our business", async () => {
  const checked = await check(stage, (world) => configure(world, { issuers: ["127.0.0.1:1"] }));
  assert.equal(checked.of("hub").state, "ok");
  assert.match(checked.of("hub").says, /the agents are connected/);
  assert.equal(checked.first, undefined);
});

test("another hub's root is no fault of the network", async () => {
  using other = await makeSite();
  const checked = await check(stage, (world) =>
    put(world, `v1/configmaps ${names.system}/${names.release}`, withData({ "hub-root.pem": other.hubRootPem })),
  );
  assert.equal(checked.first?.id, "hub");
  assert.match(checked.of("hub").says, /is no issuer of this hub/);
  assert.equal(checked.of("hub-clock").state, "skipped");
});

test("a hub root that the agents have followed goes before the one that their configuration still has", async () => {
  using former = await makeSite();
  const rotated = (world: World): void => {
    put(world, `v1/configmaps ${names.system}/${names.release}`, withData({ "hub-root.pem": former.hubRootPem }));
    put(world, state, keeping({ hubRoots: { pem: stage.site.hubRootPem, from: hashesOf(former.hubRootPem) } }));
  };
  const checked = await check(stage, rotated);
  assert.equal(checked.of("hub").state, "ok");
  assert.equal(checked.of("hub-clock").state, "ok");
  const blind = await check(stage, (world) => {
    rotated(world);
    world.forbidden = /\/secrets\//;
  });
  assert.equal(blind.of("hub").state, "fail");
  assert.match(blind.of("hub").says, /have followed to by now cannot be seen \(.*403 .*is forbidden\)/);
});

test("what this account may not see is skipped, with why", async () => {
  const checked = await check(stage, (world) =>
    Object.assign(world, { readyz: undefined, forbidden: /\/deployments/ }),
  );
  assert.match(checked.of("agent").says, /may not ask the agents' pods \(pods\/proxy\)/);
  for (const id of ["agent", "istiod-signing", "ca-address", "trust-domain"])
    assert.equal(checked.of(id).state, "skipped", id);
  assert.match(checked.of("istiod-signing").says, /403 .*deployments is forbidden/);
  assert.equal(checked.of("roots").state, "ok");
  assert.equal(checked.first, undefined);
});

test("an istiod that is older than a certificate that was made anew serves all the same", async () => {
  const containerStatuses = [{ state: { running: { startedAt: new Date(Date.now() - hourMs).toISOString() } } }];
  const checked = await check(stage, (world) =>
    put(world, `v1/pods ${names.istio}/istiod-1`, (one) => ({ ...one, status: { containerStatuses } })),
  );
  assert.equal(checked.of("istiod-port").state, "ok");
});

test("before Istio is there its checks are skipped, and nothing fails", async () => {
  const checked = await check(stage, ({ objects }) => {
    for (const key of [istiod, ztunnel]) objects.delete(key);
  });
  assert.equal(checked.first, undefined);
  for (const id of ["istiod-signing", "ca-address", "istiod-port", "trust-domain", "ztunnel-account"])
    assert.equal(checked.of(id).state, "skipped", id);
});

test("docs/operating.md has every check, in this order", () => {
  const rows = tableBelow(read("docs/operating.md"), "What is wrong in a cluster").map(([id]) => id);
  assert.deepEqual(
    rows,
    checks.map(({ id }) => `\`${id}\``),
  );
});
