/**
 * A mesh moves over from istiod's own CA: istiod signs with its self-signed CA, and with one that was plugged in, while Espalier signs
 * under the same root. Workloads of both talk to one another, in both directions. test/mesh/run says what the environment needs.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eastDocument, espalier, openStage, type Stage } from "../ctl/stage.ts";
import { shakeHands } from "../demo/handshake.ts";
import { document, tenantDocument, toYaml } from "../support/documents.ts";
import { openRealCluster, type RealCluster } from "../support/kube-cluster.ts";
import { eventually } from "../support/patience.ts";
import { type Former, layFormer, podOf, startFormer } from "./former.ts";

const { KUBECONFIG_EAST: kubeconfig = "" } = process.env;

function documents(source: "brought" | "offline", algorithm: string): string {
  return toYaml([
    document("TrustRoot", "main", { source }),
    eastDocument(),
    tenantDocument("shop", {
      trustDomain: "cluster.local",
      authority: { algorithm },
      rules: [{ name: "workloads", clusters: ["east"], namespaces: ["shop"] }],
    }),
  ]);
}

/** The recipe of Istio's own tools/certs. */
const plugged = `
ca=$'basicConstraints=critical,CA:true%s\\nkeyUsage=critical,digitalSignature,nonRepudiation,keyEncipherment,keyCertSign\\nsubjectKeyIdentifier=hash\\n'
printf "[req]\\ndistinguished_name=dn\\nprompt=no\\nx509_extensions=ext\\n[dn]\\nO=Istio\\nCN=Root CA\\n[ext]\\n$ca" "" > root.cnf
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -config root.cnf -keyout ../root.key -out root-cert.pem
openssl req -new -newkey rsa:2048 -nodes -subj "/O=Istio/CN=Intermediate CA/L=east" -keyout key -out csr
openssl rsa -in key -traditional -out ca-key.pem
printf "$ca"'subjectAltName=DNS:istiod.istio-system.svc\\nauthorityKeyIdentifier=keyid\\n' ,pathlen:0 > ext
openssl x509 -req -sha256 -days 730 -CA root-cert.pem -CAkey ../root.key -CAcreateserial -in csr -extfile ext -out ca-cert.pem
cat ca-cert.pem root-cert.pem > cert-chain.pem
rm root.cnf key csr ext root-cert.srl
`;

async function askIstiod(
  stage: Stage,
  cluster: RealCluster,
  { address }: Former,
  namespace: string,
  roots: string,
): Promise<string> {
  const token = await stage.folder.put("former.token", await cluster.token(namespace, "web", { pod: podOf("web") }));
  const out = stage.folder.at("former");
  const from = ["--agent", address, "--ca", roots, "--server-name", `istiod.${namespace}.svc`];
  const who = ["--token-file", token, "--trust-domain", "cluster.local", "--cluster-id", "Kubernetes"];
  const { code, stderr } = await espalier(["request", ...from, ...who, "--out", out]);
  assert.equal(code, 0, stderr);
  return out;
}

async function askEspalier(stage: Stage): Promise<string> {
  const token = stage.east.token({ namespace: "shop", serviceAccount: "cart" });
  const file = await stage.folder.put("cart.token", token);
  const out = stage.folder.at("cart");
  await eventually(async () => {
    const asked = ["request", "--agent", stage.agent, "--ca", stage.rootFile, "--token-file", file];
    const { code, stderr } = await stage.say(...asked, "--trust-domain", "cluster.local", "--out", out);
    assert.equal(code, 0, stderr);
  }, 90_000);
  return out;
}

/** Certificates of both CAs, and what either end of a connection sees. */
async function assertMixed(former: string, ours: string): Promise<void> {
  const text = (directory: string, file: string): string => readFileSync(join(directory, file), "utf8");
  assert.equal(text(former, "root-cert.pem"), text(ours, "root-cert.pem"), "they have one root, byte for byte");
  assert.notEqual(text(former, "cert-chain.pem"), text(ours, "cert-chain.pem"));
  for (const [client, server] of [
    [former, ours],
    [ours, former],
    [ours, ours],
  ] as const) {
    const seen = await shakeHands(client, server);
    assert.equal(seen.error, undefined);
    const identity = (directory: string): RegExp =>
      directory === ours ? /\/ns\/shop\/sa\/cart$/ : /\/ns\/former-\w+\/sa\/web$/;
    assert.match(seen.clientSaw ?? "", identity(server));
    assert.match(seen.serverSaw ?? "", identity(client));
  }
}

test("istiod's self-signed CA becomes the root, from its Secret", { timeout: 300_000 }, async () => {
  using cluster = await openRealCluster(kubeconfig);
  await using stage = await openStage({ documents: documents("brought", "P-256") });
  mkdirSync(stage.folder.at("istiod"));
  const namespace = "former-own";
  await using _ = await layFormer(cluster, namespace, ["web"]);
  await using former = await startFormer({ namespace, directory: stage.folder.at("istiod") });
  // Its CA is as old as istiod. Under one that is not a second old nothing can be proven, and the next look is a minute later.
  await delay(2_000);
  const argv = ["root", "import", "main", "--from-kubeconfig", kubeconfig, "--secret", `${namespace}/istio-ca-secret`];
  const taken = await stage.say(...argv, "--reason", "moving over");
  assert.equal(taken.code, 0, taken.stderr);
  const roots = await stage.folder.put("former.pem", (await stage.say("tenant", "bundle", "shop")).stdout);
  await assertMixed(await askIstiod(stage, cluster, former, namespace, roots), await askEspalier(stage));
  assert.match((await stage.say(...argv)).stdout, /has this certificate already/);
});

test("an intermediate that was plugged in becomes the tenant's authority", { timeout: 300_000 }, async () => {
  using cluster = await openRealCluster(kubeconfig);
  await using stage = await openStage({ documents: documents("offline", "RSA-2048") });
  const namespace = "former-plugged";
  const directory = stage.folder.at("istiod/etc/cacerts");
  mkdirSync(directory, { recursive: true });
  execFileSync("bash", ["-euo", "pipefail", "-c", plugged], { cwd: directory, stdio: "pipe" });
  await using _ = await layFormer(cluster, namespace, ["web"]);
  await using former = await startFormer({ namespace, directory: stage.folder.at("istiod") });
  const taken = await stage.say("root", "import", "main", "--from-secret-dir", directory);
  assert.equal(taken.code, 0, taken.stderr);
  const roots = stage.folder.at("former.pem");
  copyFileSync(join(directory, "root-cert.pem"), roots);
  await assertMixed(await askIstiod(stage, cluster, former, namespace, roots), await askEspalier(stage));
});
