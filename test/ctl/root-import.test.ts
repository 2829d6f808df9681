/** CAs as Istio keeps them in a Secret, made here by OpenSSL with istiod's own extensions, names and keys. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { hasOpenssl } from "../support/pki-openssl.ts";
import { type Hub, openHub } from "./stage.ts";

const rules = "rules: [{ name: workloads, clusters: [east], namespaces: [shop] }]";
function tenant(name: string, root: string, algorithm: string): string {
  return `
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: ${name} }
spec:
  trustDomain: ${name}.local
  root: ${root}
  authority: { algorithm: ${algorithm} }
  ${rules.replace("[shop]", `[${name}]`)}`;
}

const resources = `
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: mesh }
spec: { source: brought }
---
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: outside }
spec: { source: offline }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east }
spec:
  tokens: { issuer: https://east.example, keys: { joined: true } }
  servingNames: [localhost]${tenant("cluster", "mesh", "P-256")}${tenant("plugged", "outside", "RSA-2048")}${tenant("other", "outside", "P-256")}
`;

/**
 * istio-ca-secret as istiod makes it (security/pkg/pki/util/generate_cert.go: RSA 2048, O=<trust domain>, keyCertSign alone, PKCS #1
 * key), and cacerts as Istio's own Makefile does (tools/certs: RSA 4096 there, a SAN in the intermediate, its root behind it in
 * cert-chain.pem).
 */
const make = `
mkdir -p istio-ca-secret cacerts tls deep several leaf
config() { printf '[req]\\ndistinguished_name=dn\\nprompt=no\\nx509_extensions=ext\\n[dn]\\n%s\\n[ext]\\n%s\\n' "$1" "$2"; }
cd istio-ca-secret
config O=cluster.local $'basicConstraints=critical,CA:true\\nkeyUsage=critical,keyCertSign\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=none' > cnf
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -config cnf -keyout key -out ca-cert.pem
openssl rsa -in key -traditional -out ca-key.pem
cp ca-cert.pem root-cert.pem; touch cert-chain.pem key.pem
rm cnf key
cd ../cacerts
ca=$'basicConstraints=critical,CA:true\\nkeyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,keyCertSign\\nsubjectKeyIdentifier=hash'
config $'O=Istio\\nCN=Root CA' "$ca" > ../root.cnf
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -config ../root.cnf -keyout ../root.key -out root-cert.pem
openssl req -new -newkey rsa:2048 -nodes -subj "/O=Istio/CN=Intermediate CA/L=cluster1" -keyout key -out csr
openssl rsa -in key -traditional -out ca-key.pem
printf 'basicConstraints=critical,CA:true,pathlen:0\\nkeyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,keyCertSign\\nsubjectKeyIdentifier=hash\\nauthorityKeyIdentifier=keyid\\nsubjectAltName=DNS:istiod.istio-system.svc\\n' > ext
openssl x509 -req -sha256 -days 730 -CA root-cert.pem -CAkey ../root.key -CAcreateserial -in csr -extfile ext -out ca-cert.pem
cat ca-cert.pem root-cert.pem > cert-chain.pem
rm -f key csr root-cert.srl
cp ext ../ext; rm ext
cd ..
cp cacerts/cert-chain.pem tls/tls.crt; cp cacerts/ca-key.pem tls/tls.key; cp cacerts/root-cert.pem tls/ca.crt
cp cacerts/* deep; cat istio-ca-secret/ca-cert.pem >> deep/cert-chain.pem
cp cacerts/* several; cat istio-ca-secret/ca-cert.pem >> several/root-cert.pem
cp cacerts/* leaf; cp istio-ca-secret/ca-key.pem leaf/ca-key.pem
`;

let hub: Hub;
before(async () => {
  hub = await openHub(resources);
  if (hasOpenssl) shell(make);
  // What proves an authority is dated a second back, and OpenSSL has dated everything now.
  await delay(1100);
});
after(async () => await hub[Symbol.asyncDispose]());

function shell(script: string): string {
  const stdio = ["ignore", "pipe", "pipe"] as const;
  return execFileSync("bash", ["-euo", "pipefail", "-c", script], {
    cwd: hub.folder.path,
    encoding: "utf8",
    stdio: [...stdio],
  });
}

async function take(name: string, directory: string, ...more: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hub.say(
    "root",
    "import",
    name,
    "--from-secret-dir",
    hub.folder.at(directory),
    ...more,
  );
  return `${code}\n${stdout}${stderr}`;
}

test("what is no CA of Istio's, or none that can be taken over, is refused with what to do", {
  skip: !hasOpenssl,
}, async () => {
  mkdirSync(hub.folder.at("empty"));
  for (const [name, directory, says] of [
    ["mesh", "empty", /^2\n.*there is no ca-cert\.pem: it is no Secret of a CA/],
    ["mesh", "nowhere", /^2\n.*there is no ca-cert\.pem/],
    ["outside", "deep", /^2\n.*stands below another intermediate/],
    ["outside", "several", /^2\n.*root-cert\.pem holds another root beside/],
    ["outside", "istio-ca-secret", /^1\n[^]*TrustRoot "outside" has source offline/],
    ["mesh", "cacerts", /^2\n.*\n?.*TrustRoot "mesh" has source brought|^1\n[^]*TrustRoot "mesh" has source brought/],
    ["outside", "cacerts", /^2\n[^]*say whose authority the CA becomes, with --tenant: plugged, other/],
  ] as const)
    assert.match(await take(name, directory), says);
  const both = await hub.say("root", "import", "mesh");
  assert.match(both.stderr, /--from-secret-dir DIRECTORY or --from-kubeconfig FILE/);
});

test("istiod's self-signed CA becomes the root: the bundle is what the mesh trusts already", {
  skip: !hasOpenssl,
}, async () => {
  assert.match(await take("mesh", "istio-ca-secret", "--dry-run"), /^0\nwould bring the workload root "mesh"/);
  const first = await take("mesh", "istio-ca-secret", "--reason", "moving over");
  assert.match(first, /^0\nbrought the workload root "mesh"\nstate: +active\nalgorithm: +RSA-2048\n/);
  assert.match(first, /warning: its key usage lacks cRLSign/);
  assert.match(first, /Destroy what .*istio-ca-secret holds/);
  assert.match(await take("mesh", "istio-ca-secret"), /^0\nthe workload root "mesh" has this certificate already/);
  assert.match((await hub.say("tenant", "show", "cluster")).stdout, /^state: +ready$/m);
  const bundle = (await hub.say("tenant", "bundle", "cluster")).stdout;
  assert.equal(bundle, shell("cat istio-ca-secret/ca-cert.pem"));
  const [authority] = JSON.parse((await hub.say("authority", "list", "cluster", "-o", "json")).stdout);
  await hub.folder.put("authority.pem", authority.pem);
  // Beside a leaf of istiod's: signed by the old CA itself.
  shell(`openssl req -new -newkey rsa:2048 -nodes -subj / -keyout leaf.key -out leaf.csr
    printf 'keyUsage=critical,digitalSignature,keyEncipherment\\nextendedKeyUsage=serverAuth,clientAuth\\nsubjectAltName=critical,URI:spiffe://cluster.local/ns/shop/sa/web\\n' > leaf.ext
    openssl x509 -req -in leaf.csr -days 1 -CA istio-ca-secret/ca-cert.pem -CAkey istio-ca-secret/ca-key.pem -CAcreateserial -extfile leaf.ext -out leaf.pem`);
  await hub.folder.put("bundle.pem", bundle);
  assert.match(shell("openssl verify -CAfile bundle.pem leaf.pem authority.pem"), /leaf\.pem: OK\nauthority\.pem: OK/);
});

for (const directory of ["cacerts", "tls"] as const) {
  test(`an intermediate of an outside root becomes a tenant's authority (${directory})`, {
    skip: !hasOpenssl,
  }, async () => {
    await using own = directory === "tls" ? await openHub(resources) : undefined;
    const { say } = own ?? hub;
    const argv = ["root", "import", "outside", "--from-secret-dir", hub.folder.at(directory)];
    const wrong = await say(...argv, "--tenant", "other", "-o", "json");
    assert.match(wrong.stderr, /set its spec\.authority\.algorithm to RSA-2048/);
    const taken = await say(...argv, "--tenant", "plugged");
    assert.equal(taken.code, 0, taken.stderr);
    assert.match(taken.stdout, /^took tenant-plugged-[0-9a-f]{8} of tenant "plugged"$/m);
    assert.match(taken.stdout, /^state: +active$/m);
    const again = await say(...argv, "--tenant", "plugged");
    assert.match(again.stdout, /has this certificate already, and is active/);
    assert.equal((await say("tenant", "bundle", "plugged")).stdout, shell("cat cacerts/root-cert.pem"));
    const authorities: { state: string; pem: string }[] = JSON.parse(
      (await say("authority", "list", "plugged", "-o", "json")).stdout,
    );
    assert.deepEqual(
      authorities.map(({ state }) => state),
      ["active"],
    );
    assert.equal(authorities[0]?.pem, shell("cat cacerts/ca-cert.pem"));
    // The other tenant's has to be signed where the root's key is.
    assert.match((await say("authority", "list", "other")).stdout, /^other .* waiting /m);
    assert.equal((await say("ledger", "verify")).code, 0);
  });
}

test("an intermediate whose key is another's is refused", { skip: !hasOpenssl }, async () => {
  await using own = await openHub(resources);
  const said = await own.say(
    "root",
    "import",
    "outside",
    "--from-secret-dir",
    hub.folder.at("leaf"),
    "--tenant",
    "plugged",
  );
  assert.match(said.stderr, /the key is not the certificate's/);
});
