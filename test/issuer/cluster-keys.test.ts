import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { type KeySources, toClusterKeys } from "../../src/issuer/cluster-keys.ts";
import type { MeshCluster } from "../../src/resources/mesh-cluster.ts";
import { type Jwk, readJwk } from "../../src/token/jwk.ts";

function newJwk(): Jwk {
  return readJwk(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }));
}

function cluster(name: string): MeshCluster {
  return {
    name,
    tokens: { issuer: name, keys: { kind: "url", url: `https://${name}.example/jwks` }, audiences: ["istio-ca"] },
    agent: { namespace: "espalier-system", serviceAccount: "espalier-agent" },
    ztunnelAccounts: [],
    requesters: [],
    aliases: [],
    servingNames: [`ca.${name}.example`],
    suspended: false,
  };
}

const [own, next] = [newJwk(), newJwk()];

function toNames(published: Readonly<Record<string, readonly Jwk[]>>, held: Readonly<Record<string, Jwk>> = {}) {
  const sources: KeySources = {
    clusters: Object.keys(published).map(cluster),
    registered: [],
    fetched: (name) => published[name] ?? [],
    held: (name) => new Set(held[name] === undefined ? [] : [held[name].thumbprint]),
  };
  const { keys, disputed } = toClusterKeys(sources);
  const thumbprints = Object.fromEntries([...keys].map(([name, all]) => [name, all.map((key) => key.thumbprint)]));
  return { thumbprints, disputed: disputed.map((one) => one.cluster) };
}

test("a cluster that publishes another's keys stops nobody but itself", () => {
  const { thumbprints, disputed } = toNames({ east: [own, next], thief: [own] }, { east: own });
  assert.deepEqual(thumbprints, { east: [own.thumbprint, next.thumbprint], thief: [] });
  assert.deepEqual(disputed, ["thief"]);
});

test("of two that come with one key at once neither has it", () => {
  const { thumbprints, disputed } = toNames({ east: [own, next], west: [own] });
  assert.deepEqual(thumbprints, { east: [next.thumbprint], west: [] });
  assert.deepEqual(disputed, ["east", "west"]);
});
