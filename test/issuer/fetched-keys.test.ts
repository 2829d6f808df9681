/** Whose a fetched key is, when two clusters' addresses show it and the issuer starts anew. */
import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { toCsr } from "../../src/pki/request.ts";
import { readJwks } from "../../src/token/jwk.ts";
import {
  agentToken,
  clusterDocument,
  clusterTokens,
  type Document,
  tokenIssuerUrl,
  usualDocuments,
} from "../support/documents.ts";
import { serverPair } from "../support/kube-certificate.ts";
import { makeSite, type Site } from "../support/site.ts";
import { type IssuerStack, startIssuerOn } from "../support/stack.ts";
import { joinHub } from "../support/thief.ts";
import { newKey } from "../support/workload.ts";

/** What each path answers; 503 where there is nothing. */
const shown = new Map<string, string>();
const server = createServer(serverPair(), ({ url = "" }, response) => {
  const text = shown.get(url);
  response.writeHead(text === undefined ? 503 : 200).end(text);
});
let base = "";

before(async () => {
  // The hub fetches from public addresses, whose roots Node brings; here it is a server of this test.
  setDefaultCACertificates([...getCACertificates("default"), serverPair().cert]);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a TCP server's address is
  base = `https://localhost:${(server.address() as AddressInfo).port}`;
});
after(() => server.close());

const eastKeys = JSON.stringify(clusterTokens("east").jwks);
const [eastKey] = readJwks(eastKeys).map(({ thumbprint }) => thumbprint);

function documents(eastPath = "/east"): readonly Document[] {
  const fetched = (path: string) => ({ tokens: { issuer: tokenIssuerUrl, keys: { url: base + path } } });
  const others = usualDocuments().filter(({ kind }) => kind !== "MeshCluster");
  return [...others, clusterDocument("east", fetched(eastPath)), clusterDocument("west", fetched("/west"))];
}

/** Whether that cluster's agent gets in with a token of east's key. */
async function isLetIn(site: Site, issuer: IssuerStack, cluster: string): Promise<boolean> {
  const request = { cluster, csr: toCsr({ privateKey: newKey().privateKey }), token: agentToken("east") };
  return await joinHub(site, issuer.address, request).then(
    () => true,
    () => false,
  );
}

async function whose(site: Site): Promise<readonly boolean[]> {
  await using issuer = await startIssuerOn(site);
  return [await isLetIn(site, issuer, "east"), await isLetIn(site, issuer, "west")];
}

test("the cluster that had a key first keeps it over a restart, whatever another shows and whichever answers", async (t) => {
  shown.clear();
  shown.set("/east", eastKeys);
  using site = await makeSite({ documents: documents() });
  assert.deepEqual(await whose(site), [true, false]);
  await t.test("a thief's address shows it too when the issuer starts", async () => {
    shown.set("/west", eastKeys);
    await using issuer = await startIssuerOn(site);
    assert.deepEqual([await isLetIn(site, issuer, "east"), await isLetIn(site, issuer, "west")], [true, false]);
    const [line] = issuer.log.of("token key refused: it belongs to another cluster");
    assert.deepEqual(line?.fields, { cluster: "west", others: "east", thumbprint: eastKey });
  });
  await t.test("its own address is away when the issuer starts, and the thief's is not", async () => {
    shown.delete("/east");
    assert.deepEqual(await whose(site), [true, false]);
    assert.deepEqual(await whose(site), [true, false]);
  });
  await t.test("it shows the key no more: now it is free", async () => {
    shown.set("/east", JSON.stringify(clusterTokens("other").jwks));
    assert.deepEqual(await whose(site), [false, true]);
    shown.set("/east", eastKeys);
    assert.deepEqual(await whose(site), [false, true]);
  });
});

test("of two that are new with one key neither has it, now or after a restart", async () => {
  shown.clear();
  for (const path of ["/east", "/west"]) shown.set(path, eastKeys);
  using site = await makeSite({ documents: documents() });
  assert.deepEqual(await whose(site), [false, false]);
  assert.deepEqual(await whose(site), [false, false]);
});

test("what an address has shown counts for that address alone", async () => {
  shown.clear();
  shown.set("/east", eastKeys);
  using site = await makeSite({ documents: documents() });
  assert.deepEqual(await whose(site), [true, false]);
  site.declare(documents("/elsewhere"));
  assert.deepEqual(await whose(site), [false, false]);
});
