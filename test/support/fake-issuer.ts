/** An issuer that lies: it has a certificate under the hub root, and what it answers to `Sign` is the test's to say. */
import { randomBytes } from "node:crypto";
import { openFileCustody } from "../../src/custody/file.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { newSerial, toCertificate, toLeafTemplate, toTbs } from "../../src/pki/leaf.ts";
import { toPem } from "../../src/pki/pem.ts";
import { openServerCredentials } from "../../src/rpc/credentials.ts";
import type { SignBatch__Output } from "../../src/rpc/gen/espalier/v1/SignBatch.ts";
import type { SignItem__Output } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import type { SignReplies } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import { Issuer } from "../../src/rpc/proto.ts";
import { duplex, startServer, unary } from "../../src/rpc/server.ts";
import { hubName } from "./documents.ts";
import type { Site } from "./site.ts";
import { newKey } from "./workload.ts";

export interface FakeIssuer extends AsyncDisposable {
  readonly address: string;
  /** What it says to each item. */
  answer: (item: SignItem__Output) => Promise<SignReplies>;
}

const never = (): Promise<never> => Promise.reject(new Error("not here"));

export async function startFakeIssuer(site: Site): Promise<FakeIssuer> {
  const key = newKey();
  const certificate = await signAsHub(site, key.spki);
  const credentials = openServerCredentials("TLSv1.3", {
    chainPem: toPem("CERTIFICATE", certificate),
    keyPem: key.keyPem,
    clientRootsPem: site.hubRootPem,
  });
  const fake: { answer: FakeIssuer["answer"] } = { answer: never };
  const limits = {
    messageBytesMax: 1_000_000,
    streamsPerConnectionMax: 100,
    connectionAgeMs: 600_000,
    connectionIdleMs: 600_000,
  };
  const server = await startServer({ address: "127.0.0.1:0", limits, drainMs: 50 }, credentials.credentials, (s) =>
    s.addService(Issuer.service, {
      Sign: duplex<SignBatch__Output, SignReplies>((stream) => {
        stream.onMessage(({ items }) => {
          for (const item of items) void fake.answer(item).then((replies) => stream.write(replies));
        });
        stream.onEnd(() => stream.end());
      }),
      SignOnce: unary(1_000, never),
      Watch: duplex((stream) => {
        // Read, or its end would not be seen.
        stream.onMessage(() => {});
        stream.onEnd(() => stream.end());
      }),
      Join: unary(1_000, never),
    }),
  );
  return {
    address: `127.0.0.1:${server.port}`,
    get answer() {
      return fake.answer;
    },
    set answer(next) {
      fake.answer = next;
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

/** A thief of the hub's key, for a moment. */
async function signAsHub(site: Site, spki: Uint8Array): Promise<Uint8Array> {
  await using database = await openSqlite({ path: site.databasePath, now: () => new Date(), create: false });
  const hub = (await database.state.authorities()).find((record) => record.kind === "hub");
  if (hub === undefined) throw new Error("the hub has no root");
  const custody = await openFileCustody({ directory: site.config.keys });
  const signer = await custody.openKey(hub.keyName);
  const tbs = toTbs(toLeafTemplate(hub, "issuer"), {
    serial: newSerial((n) => randomBytes(n)),
    notBefore: new Date(Date.now() - 120_000),
    notAfter: new Date(Date.now() + 3_600_000),
    spki,
    names: { dns: [`issuer.${hubName}`] },
  });
  return toCertificate(hub.algorithm, tbs, await signer.sign(tbs));
}
