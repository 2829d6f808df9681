/** What docs/istio-csr.md has typed at the hub: its documents, a root such as cert-manager makes, and the next one. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { eventually } from "../support/patience.ts";
import { hasOpenssl } from "../support/pki-openssl.ts";
import { type Hub, linesOf, openHub } from "./stage.ts";

const documented = (first: string, last: string): string =>
  linesOf("docs/istio-csr.md", first, last).replaceAll("espalier-data/", "hub/");

/** As the Certificate of istio-csr's guide has it: 90 days, no cRLSign, and a key that is SEC 1. */
const certManagers = `openssl ecparam -name prime256v1 -genkey -noout -out root.key
openssl req -x509 -new -key root.key -days 90 -out root.pem -subj /O=cert-manager/O=cluster.local/CN=istio-ca \\
  -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign`;

test("its documents hold together, take over cert-manager's root, and let it be replaced", {
  skip: !hasOpenssl,
}, async () => {
  await using hub = await openHub("");
  const { folder } = hub;
  const shell = (script: string): string =>
    execFileSync("bash", ["-euo", "pipefail", "-c", script], { cwd: folder.path, encoding: "utf8" });
  await addEast(hub);
  shell(documented("cat >> espalier-data/resources/east.yaml", "    END"));
  shell(documented("cat > espalier-data/resources/mesh.yaml", "    END"));
  const checked = await hub.say("config", "check", folder.at("hub/issuer.yaml"));
  assert.deepEqual([checked.code, checked.stderr], [0, ""], checked.stdout);

  shell(certManagers);
  const bring = ["root", "bring", "mesh", "--certificate", folder.at("root.pem"), "--key", folder.at("root.key")];
  const brought = await eventually(async () => {
    const said = await hub.say(...bring);
    assert.equal(said.code, 0, said.stderr);
    return said;
  });
  assert.match(brought.stderr, /lacks cRLSign[^]*before an authority of MeshTenant "mesh" would/);
  // Under a root that is a second old it is proved when the issuer looks next.
  await eventually(async () => {
    const { stdout } = await hub.say("tenant", "show", "mesh");
    assert.match(stdout, /^state: +ready\n[^]*^next: +no successor: TrustRoot "mesh" ends/m);
  });

  const rotate = ["root", "rotate", "mesh", "--dry-run"];
  const refused = await hub.say(...rotate);
  assert.match(refused.stderr, /has source brought: .*; declared with source espalier, its next root is made here/);
  shell(documented("sed -i", "mesh.yaml"));
  await eventually(async () => assert.equal((await hub.say(...rotate)).code, 0));
});

async function addEast({ folder, say }: Hub): Promise<void> {
  const { issuer, jwks } = createTokenIssuer("https://kubernetes.default.svc.cluster.local");
  const openid = await folder.put("openid.json", JSON.stringify({ issuer, jwks_uri: `${issuer}/openid/v1/jwks` }));
  const said = ["--openid", openid, "--jwks", await folder.put("jwks.json", JSON.stringify(jwks))];
  const { code, stderr } = await say("cluster", "add", "east", ...said, "--resources", folder.at("hub/resources"));
  assert.deepEqual([code, stderr], [0, ""]);
}
