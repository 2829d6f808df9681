import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { test } from "node:test";
import { type ConnectionOptions, connect, type PeerCertificate, type SecureVersion, type TLSSocket } from "node:tls";
import { toPem } from "../../src/pki/pem.ts";
import { openServerCredentials, type ServerTls } from "../../src/rpc/credentials.ts";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { startServer, unary } from "../../src/rpc/server.ts";
import { ago } from "../support/clock.ts";
import { makeAuthority, makeLeaf, makeSigner } from "../support/pki.ts";
import { assertIssued, newKey, openWorkload } from "../support/workload.ts";

const signer = makeSigner("P-256");
const authority = await makeAuthority("P-256", { rootSigner: signer, notBefore: ago(7200), notAfter: ago(-864_000) });
const rootPem = toPem("CERTIFICATE", authority.root);

async function serving(name: string): Promise<ServerTls> {
  const key = newKey();
  const leaf = await makeLeaf(authority, {
    profile: "serving",
    names: { dns: [name] },
    spki: key.spki,
    notBefore: ago(120),
    notAfter: ago(-3600),
  });
  const chainPem = toPem("CERTIFICATE", leaf) + toPem("CERTIFICATE", authority.certificate);
  return { chainPem, keyPem: key.keyPem, clientRootsPem: rootPem };
}

function dial(port: number, options: ConnectionOptions): TLSSocket {
  const checkServerIdentity = (): undefined => undefined;
  return connect({ port, host: "127.0.0.1", ca: rootPem, checkServerIdentity, ALPNProtocols: ["h2"], ...options });
}

/** Shakes hands, with a ticket of before if there is one: whether that spared it all of it, and the ticket that it has then. */
function comeBack(
  port: number,
  options: ConnectionOptions,
): Promise<{ readonly reused: boolean; readonly ticket?: Buffer }> {
  return new Promise((resolve, reject) => {
    const socket = dial(port, options);
    const end = (more: { readonly ticket?: Buffer }): void => {
      resolve({ reused: socket.isSessionReused(), ...more });
      socket.destroy();
    };
    socket.once("error", reject).resume();
    // Who comes back need not be given another.
    if (options.session === undefined) socket.once("session", (ticket) => end({ ticket }));
    else socket.once("secureConnect", () => end({}));
  });
}

interface Shaken {
  readonly names: string;
  readonly protocol: string | null;
  readonly alpn: string | false | null;
}

function shake(port: number, options: { maxVersion?: SecureVersion; ciphers?: string } = {}): Promise<Shaken> {
  return new Promise((resolve, reject) => {
    const socket = dial(port, options);
    socket.once("secureConnect", () => {
      const certificate: PeerCertificate = socket.getPeerCertificate();
      resolve({ names: certificate.subjectaltname ?? "", protocol: socket.getProtocol(), alpn: socket.alpnProtocol });
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

const limits = {
  messageBytesMax: 65_536,
  streamsPerConnectionMax: 10,
  connectionAgeMs: 60_000,
  connectionIdleMs: 60_000,
};

test("a certificate is replaced while running, and nothing else changes with it", async (t) => {
  const first = await serving("one.example");
  const credentials = openServerCredentials("TLSv1.2", first);
  await using server = await startServer(
    { address: "127.0.0.1:0", limits, drainMs: 50 },
    credentials.credentials,
    (s) =>
      s.addService(IstioCertificateService.service, {
        CreateCertificate: unary(5_000, async () => ({ certChain: ["x"] })),
      }),
  );
  const { port } = server;
  const tls = { rootsPem: rootPem, serverName: "one.example" };
  using living = openWorkload(`127.0.0.1:${port}`, tls, "east");
  assertIssued(await living.ask());
  assert.deepEqual(await shake(port), { names: "DNS:one.example", protocol: "TLSv1.3", alpn: "h2" });

  const refused: readonly (readonly [string, (next: ServerTls) => ServerTls])[] = [
    ["a key of another certificate", (next) => ({ ...next, keyPem: newKey().keyPem })],
    ["a chain that is no PEM", (next) => ({ ...next, chainPem: "garbage" })],
    ["a key that is no PEM", (next) => ({ ...next, keyPem: "garbage" })],
    ["no roots for clients, for which Node would take its own", (next) => ({ ...next, clientRootsPem: "" })],
    [
      "roots that are none",
      (next) => ({ ...next, clientRootsPem: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }),
    ],
  ];
  for (const [title, spoil] of refused) {
    await t.test(`${title} is refused, and what was in force stays`, async () => {
      const next = spoil(await serving("bad.example"));
      assert.throws(() => credentials.publish(next), Error);
      assert.equal((await shake(port)).names, "DNS:one.example");
    });
  }
  await t.test("new handshakes get the new one, living connections go on", async () => {
    credentials.publish(await serving("two.example"));
    assert.equal((await shake(port)).names, "DNS:two.example");
    assertIssued(await living.ask());
  });
  await t.test("TLS 1.2 is still the least, and AES-GCM with ECDHE still what it takes", async () => {
    assert.equal((await shake(port, { maxVersion: "TLSv1.2" })).protocol, "TLSv1.2");
    await assert.rejects(shake(port, { maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" }));
    await assert.rejects(shake(port, { maxVersion: "TLSv1.2", ciphers: "AES128-SHA256" }));
    await assert.rejects(shake(port, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" }));
    assert.equal((await shake(port, { ciphers: "TLS_AES_128_GCM_SHA256" })).protocol, "TLSv1.3");
  });
  await t.test("a server of TLS 1.3 keeps to it after a new certificate too", async () => {
    const strict = openServerCredentials("TLSv1.3", first);
    await using other = await startServer(
      { address: "127.0.0.1:0", limits, drainMs: 50 },
      strict.credentials,
      () => {},
    );
    for (const round of [1, 2]) {
      await assert.rejects(shake(other.port, { maxVersion: "TLSv1.2" }), String(round));
      strict.publish(await serving("three.example"));
    }
    assert.equal((await shake(other.port)).names, "DNS:three.example");
  });
  await t.test("garbage in the place of a handshake, and of HTTP/2, harms nobody", async () => {
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.alloc(4096, 0x16),
      Buffer.from("160301020001", "hex"),
    ]) {
      const socket = connectTcp(port, "127.0.0.1").on("error", () => {});
      socket.end(bytes);
    }
    const spoken = connect({
      port,
      host: "127.0.0.1",
      ca: rootPem,
      checkServerIdentity: () => undefined,
      ALPNProtocols: ["h2"],
    });
    spoken.on("error", () => {}).resume();
    spoken.once("secureConnect", () => spoken.end(Buffer.alloc(10_000, 0xff)));
    await new Promise((resolve) => spoken.once("close", resolve));
    assertIssued(await living.ask());
  });
});

test("whom a root that is trusted no more has let in comes back by no ticket of before", async () => {
  const other = await makeAuthority("P-256", { notBefore: ago(7200), notAfter: ago(-864_000) });
  const [now, later] = [await serving("one.example"), toPem("CERTIFICATE", other.root)];
  const { chainPem: cert, keyPem: key } = await serving("client.example");
  for (const [version, maxVersion] of [
    ["TLSv1.3", "TLSv1.3"],
    ["TLSv1.2", "TLSv1.2"],
  ] as const) {
    const credentials = openServerCredentials(version, now);
    await using server = await startServer(
      { address: "127.0.0.1:0", limits, drainMs: 50 },
      credentials.credentials,
      () => {},
    );
    const client = { cert, key, maxVersion };
    const { ticket } = await comeBack(server.port, client);
    assert.ok(ticket);
    assert.equal(
      (await comeBack(server.port, { ...client, session: ticket })).reused,
      true,
      `${version}: it shows nothing`,
    );
    credentials.publish({ ...now, clientRootsPem: later });
    assert.equal((await comeBack(server.port, { ...client, session: ticket })).reused, false, version);
  }
});
