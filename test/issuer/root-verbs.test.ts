import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { call } from "../../src/rpc/client.ts";
import { espalier } from "../ctl/stage.ts";
import { document, usualDocuments } from "../support/documents.ts";
import { act, acts, enrol, openAs, openSocket } from "../support/operators.ts";
import { keys, makeAuthority } from "../support/pki.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startIssuerOn } from "../support/stack.ts";

let site: Site;
let issuer: IssuerStack;
before(async () => {
  site = await makeSite({ config: { adminListen: "127.0.0.1:0" } });
  site.declare([
    ...usualDocuments(),
    document("TrustRoot", "ours", { source: "brought" }),
    document("TrustRoot", "theirs", { source: "offline" }),
  ]);
  issuer = await startIssuerOn(site);
});
after(async () => {
  await issuer[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

test("a private key from elsewhere is refused, whoever sends it; a certificate alone is taken", async () => {
  using admin = openAs(issuer, await enrol(issuer, "erin", "admin"));
  const { root } = await makeAuthority("P-256");
  const key = keys("P-256").privateKey.export({ type: "pkcs8", format: "der" });
  const bring = async (request: object): Promise<unknown> =>
    await call<object, unknown>(admin.admin.bringRoot.bind(admin.admin), { act, certificate: root, ...request }, 5_000);
  const far = { code: "not-this-caller", message: /a private key is taken by the socket/ };
  await assert.rejects(bring({ trustRoot: "ours", key }), far);
  await assert.rejects(bring({ trustRoot: "ours", key, dryRun: true }), far);
  const taken = call<object, unknown>(
    admin.admin.importAuthority.bind(admin.admin),
    { act, tenant: "payments", certificate: root, key },
    5_000,
  );
  await assert.rejects(taken, far);
  await bring({ trustRoot: "theirs" });
  using socket = openSocket(issuer);
  const [last] = await acts(socket.admin);
  assert.deepEqual([last?.["verb"], last?.["operator"]], ["bring-root", "operator:erin"]);
});

test("the command line sends no private key that way", async () => {
  // A folder, as an operator's is.
  const { code, stderr } = await espalier(["root", "import", "ours", "--from-secret-dir", "x", "--as", site.directory]);
  assert.equal(code, 2);
  assert.match(stderr, /goes by the socket on the issuer's own machine: run this there, without --as/);
});
