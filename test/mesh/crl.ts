/**
 * Envoy itself with CRLs of ours: as pilot-agent gives them to it, by SDS that names a file. Which peers it takes when one is revoked,
 * when a CA has no CRL, and when one has ended. ESPALIER_ENVOY names the program.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect } from "node:tls";
import { readCertificate } from "../../src/pki/certificate.ts";
import { createCrl } from "../../src/pki/crl.ts";
import { crlLabel, toPem } from "../../src/pki/pem.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { eventually } from "../support/patience.ts";
import { makeAuthority, makeKey, makeLeaf } from "../support/pki.ts";

const envoy = process.env["ESPALIER_ENVOY"];
const folder = temporaryDirectory();
const at = (seconds: number): Date => new Date(Math.floor(Date.now() / 1000 + seconds) * 1000);
const day = 86_400;

const authority = await makeAuthority("P-256", { notBefore: at(-day), notAfter: at(90 * day) });
const key = makeKey("P-256");
const keyPem = key.privateKey.export({ type: "pkcs8", format: "pem" });
const valid = { spki: key.spki, notBefore: at(-120), notAfter: at(day) };
const [server, good, bad] = await Promise.all([1, 2, 3].map(async () => await makeLeaf(authority, valid)));
assert.ok(server && good && bad);

function put(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

/** As a kubelet replaces the files of a mounted ConfigMap: all at once, by a link to another folder. */
function mount(version: number, text: string): void {
  const { path } = folder;
  mkdirSync(join(path, `..${version}`));
  writeFileSync(join(path, `..${version}`, "ca-crl.pem"), text);
  symlinkSync(`..${version}`, join(path, "..data_tmp"));
  renameSync(join(path, "..data_tmp"), join(path, "..data"));
  if (version === 1) symlinkSync(join("..data", "ca-crl.pem"), join(path, "ca-crl.pem"));
}

function chainOf(leaf: Uint8Array): string {
  return [leaf, authority.certificate].map((one) => toPem("CERTIFICATE", one)).join("");
}

let number = 0;

/** The CRLs of both CAs, of which some are revoked, or one is left out, or has ended. */
async function putCrls(
  revoked: readonly Uint8Array[],
  { endsIn = day, of = ["root", "authority"] }: { readonly endsIn?: number; readonly of?: readonly string[] } = {},
): Promise<void> {
  number += 1;
  const times = { number, thisUpdate: at(-2 * day), nextUpdate: at(endsIn) };
  const entries = revoked.map((leaf) => ({ serial: readCertificate(leaf).serial, at: at(-60), reason: 1 }));
  const crls = {
    root: await createCrl({ ...times, signer: authority.rootSigner, certificate: authority.root, revoked: [] }),
    authority: await createCrl({
      ...times,
      signer: authority.signer,
      certificate: authority.certificate,
      revoked: entries,
    }),
  };
  const wanted = Object.entries(crls).filter(([name]) => of.includes(name));
  mount(number, wanted.map(([, crl]) => toPem(crlLabel, crl)).join(""));
}

function bootstrap(): object {
  const secret = (name: string, content: object): object => {
    const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    const path = put(`${name}.json`, JSON.stringify({ resources: [{ "@type": type, name, ...content }] }));
    return { name, sds_config: { path_config_source: { path }, resource_api_version: "V3" } };
  };
  const file = (name: string): object => ({ filename: join(folder.path, name) });
  const own = secret("default", {
    tls_certificate: { certificate_chain: file("server.pem"), private_key: file("key.pem") },
  });
  const peers = secret("ROOTCA", { validation_context: { trusted_ca: file("root.pem"), crl: file("ca-crl.pem") } });
  const tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
  const echo = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo";
  const chain = {
    filters: [{ name: "echo", typed_config: { "@type": echo } }],
    transport_socket: {
      name: "tls",
      typed_config: {
        "@type": tls,
        require_client_certificate: true,
        common_tls_context: {
          tls_certificate_sds_secret_configs: [own],
          validation_context_sds_secret_config: peers,
        },
      },
    },
  };
  const address = { pipe: { path: join(folder.path, "envoy.sock") } };
  return {
    node: { id: "test", cluster: "test" },
    static_resources: { listeners: [{ name: "tls", address, filter_chains: [chain] }] },
  };
}

/** Whether Envoy served somebody who showed this leaf. */
async function isServed(leaf: Uint8Array): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const options = { path: join(folder.path, "envoy.sock"), rejectUnauthorized: false };
    const socket = connect({ ...options, cert: chainOf(leaf), key: keyPem });
    let said = "";
    // With TLS 1.3 a client is done before it is refused.
    socket.on("secureConnect", () => socket.write("served"));
    socket.on("data", (data) => {
      said += data.toString();
      socket.end();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") reject(error);
      else resolve(false);
    });
    socket.on("close", () => resolve(said === "served"));
  });
}

async function served(): Promise<string> {
  return `good ${await isServed(good ?? new Uint8Array())}, bad ${await isServed(bad ?? new Uint8Array())}`;
}

test("Envoy takes CRLs of ours, and what it makes of them", { skip: envoy === undefined }, async (t) => {
  put("root.pem", toPem("CERTIFICATE", authority.root));
  put("server.pem", chainOf(server));
  put("key.pem", keyPem);
  await putCrls([]);
  const config = put("envoy.json", JSON.stringify(bootstrap()));
  const options = ["-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "error"];
  const child = spawn(envoy ?? "", options, { stdio: "inherit" });
  after(() => {
    child.kill("SIGKILL");
    folder[Symbol.dispose]();
  });
  const becomes = async (expected: string): Promise<void> =>
    await eventually(async () => assert.equal(await served(), expected));

  await t.test("nothing is revoked: both are served", async () => await becomes("good true, bad true"));
  await t.test("one is revoked: it is refused as soon as the file says so, without a restart", async () => {
    await putCrls([bad]);
    await becomes("good true, bad false");
  });
  await t.test("a CA has none: everybody is refused", async () => {
    await putCrls([bad], { of: ["authority"] });
    await becomes("good false, bad false");
  });
  await t.test("they are whole again", async () => {
    await putCrls([]);
    await becomes("good true, bad true");
  });
  await t.test("one has ended: everybody is refused", async () => {
    await putCrls([], { endsIn: -60 });
    await becomes("good false, bad false");
  });
});
