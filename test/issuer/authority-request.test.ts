/** CA certificates for others, from the request to what is left of them: a hub, two clusters, and who has stolen their agents. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { encodeName } from "../../src/pki/authority.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { verifyLeaf } from "../../src/pki/chain.ts";
import { tag } from "../../src/pki/der.ts";
import { toElement } from "../../src/pki/encode.ts";
import { toLeafTemplate, toTbs } from "../../src/pki/leaf.ts";
import { constraintsOf } from "../../src/pki/name-constraints.ts";
import { call, openAdmin, readStream } from "../../src/rpc/client.ts";
import type { Explanation__Output } from "../../src/rpc/gen/espalier/v1/Explanation.ts";
import type { ObjectRequest } from "../../src/rpc/gen/espalier/v1/ObjectRequest.ts";
import type { Reach__Output } from "../../src/rpc/gen/espalier/v1/Reach.ts";
import type { RevokeProgress__Output } from "../../src/rpc/gen/espalier/v1/RevokeProgress.ts";
import type { SignItem } from "../../src/rpc/gen/espalier/v1/SignItem.ts";
import { espalier } from "../ctl/stage.ts";
import { daySeconds } from "../support/clock.ts";
import { clusterDocument, type Document, document, podToken } from "../support/documents.ts";
import { namedCsr } from "../support/named-csr.ts";
import { callMs, eventually } from "../support/patience.ts";
import { buildCsr, makeKey, makeSigner, signTbs } from "../support/pki.ts";
import { type Stack, startStack } from "../support/stack.ts";
import type { Thief } from "../support/thief.ts";
import { csrFor } from "../support/workload.ts";
import { assertItemRefused, issued } from "./ask.ts";

const authorities = { namespaces: ["shop-ca"], dnsNames: ["shop.example"], maximumSeconds: 30 * daySeconds };

function tenant(name: string, root: string, requests: object, more: object = {}): Document {
  const rules = [
    { name: "all", clusters: ["east"], namespaces: [name, `${name}-*`], proofs: ["token", "certificate", "request"] },
  ];
  const subject = { commonNames: ["*"] };
  const trustDomain = `${name}.example`;
  return document("MeshTenant", name, { trustDomain, root, rules, requests: { subject, ...requests }, ...more });
}

const shop = tenant("shop", "shop", { authorities });
const documents = [
  document("TrustRoot", "main", {}),
  document("TrustRoot", "shop", {}),
  shop,
  tenant("media", "main", {}),
  tenant("books", "main", {}),
  clusterDocument("east"),
  clusterDocument("west"),
];

const base: ObjectRequest = {
  door: "certificate-request",
  namespace: "shop-ca",
  name: "ca-1",
  issuer: "TenantIssuer/ca",
  profile: "request",
  username: "system:serviceaccount:cert-manager:cert-manager",
  groups: [],
  usages: ["digital signature", "key encipherment"],
  isCa: true,
};

let uid = 0;
/** As cert-manager asks for a Certificate with `isCA` and nothing else. */
const caCsr = (extensions: readonly string[] = ["keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign"]) =>
  namedCsr({ subject: "/CN=till", extensions });

function ask(more: ObjectRequest = {}, csr = caCsr()) {
  const request = { ...base, ...more };
  return { csr, signer: "shop", validitySeconds: daySeconds, idempotencyKey: `uid-${(uid += 1)}`, request };
}

function lastIntent(path: string): Readonly<Record<string, unknown>> {
  using database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare("SELECT body FROM entries WHERE kind = 'intent' ORDER BY id DESC LIMIT 1").get();
  assert.ok(row?.["body"] instanceof Uint8Array);
  return JSON.parse(Buffer.from(row["body"]).toString("utf8"));
}

async function explained({ site }: Stack, { csr, signer, validitySeconds, request }: ReturnType<typeof ask>) {
  const admin = openAdmin(site.config.adminSocket);
  try {
    const question = { cluster: "east", signer, validitySeconds, object: { csr, request } };
    return await call<object, Explanation__Output>(admin.explain.bind(admin), question, callMs);
  } finally {
    admin.close();
  }
}

async function last<T extends { readonly done: boolean }>(stream: AsyncIterable<T>): Promise<T> {
  for await (const message of stream) if (message.done) return message;
  throw new Error("no last message");
}

/** The CA certificate, and the one above it: the two and the root are a path. */
async function signed(stack: Stack, thief: Thief, item: Partial<SignItem>): Promise<readonly [Uint8Array, Uint8Array]> {
  const { replies, chains } = await thief.signAll([{ id: 1, deadlineMs: callMs, ...item }]);
  const [[reply], [chain]] = [replies, chains];
  assert.ok(reply && chain);
  const leaf = issued(reply);
  const { intermediates, bundle: roots } = chain;
  verifyLeaf({ leaf, intermediates, roots, at: stack.clock.now(), authority: true });
  const [above = new Uint8Array(), ...more] = intermediates;
  assert.equal(more.length, 0);
  assert.equal(readCertificate(above).pathLength, 1);
  assert.match(new X509Certificate(above).subject, /CN=Espalier delegating authority/);
  return [leaf, above];
}

test("CA certificates of a tenant with a root of its own", async (t) => {
  await using stack = await startStack({ clusters: ["east", "west"], documents });
  const { site } = stack;
  const [east, west] = [await stack.thief("east"), await stack.thief("west")];
  const operator = openAdmin(site.config.adminSocket);
  stack.use({ [Symbol.dispose]: () => operator.close() });

  await t.test("what was asked for is given, bound to the tenant, and the ledger says so", async () => {
    const item = ask();
    const [der] = await signed(stack, east, item);
    const ca = readCertificate(der);
    assert.deepEqual([ca.isCa, ca.pathLength], [true, 0]);
    assert.deepEqual(ca.keyUsage, ["keyCertSign", "cRLSign"]);
    assert.deepEqual(ca.nameConstraints, constraintsOf({ trustDomain: "shop.example", dnsNames: ["shop.example"] }));
    assert.equal(ca.notAfter.getTime() - ca.notBefore.getTime(), daySeconds * 1000);
    const entry = lastIntent(site.databasePath);
    assert.equal(entry["profile"], "authority");
    assert.equal(entry["identity"], "ca:till");
    assert.match(String(entry["authority"]), /^delegating-shop-/);
    assert.deepEqual(issued(await east.sign(item)), der, "one UID, one certificate");
    assert.ok((await site.verify()).every(({ faults }) => faults.length === 0));
  });

  await t.test("in the words of a CA, and with its constraints in the CSR", async () => {
    for (const [usages, extensions] of [
      [["cert sign", "crl sign"], ["keyUsage=critical,keyCertSign,cRLSign"]],
      [["cert sign"], ["keyUsage=keyCertSign", "basicConstraints=critical,CA:TRUE"]],
      [["digital signature"], ["basicConstraints=critical,CA:TRUE,pathlen:0"]],
      [["digital signature"], []],
    ] as const)
      issued(await east.sign(ask({ usages: [...usages] }, caCsr(extensions))));
  });

  const ofMedia = { ...ask({ namespace: "media" }), signer: "media" };
  const smuggled = ["basicConstraints=critical,CA:TRUE"];
  const refused: readonly (readonly [
    string,
    Partial<SignItem>,
    code: "request-denied" | "malformed" | "no-rule",
    RegExp,
  ])[] = [
    ["a tenant that shares its root", ofMedia, "request-denied", /isCA.* gives none/],
    ["a namespace that the tenant does not name", ask({ namespace: "shop-web" }), "request-denied", /gives none/],
    ["a CA in the CSR alone", ask({ isCa: false }, caCsr(smuggled)), "request-denied", /isCA/],
    [
      "a signing key in the CSR alone",
      ask({ isCa: false, usages: ["digital signature"] }, caCsr(["keyUsage=digitalSignature,keyCertSign"])),
      "malformed",
      /other usages/,
    ],
    ["a CA in the object alone", ask({}, caCsr(["basicConstraints=CA:FALSE"])), "request-denied", /for none/],
    ["a longer path", ask({}, caCsr(["basicConstraints=critical,CA:TRUE,pathlen:1"])), "request-denied", /path length/],
    ["one that makes no sense", ask({}, caCsr(["basicConstraints=CA:FALSE,pathlen:1"])), "request-denied", /isCA|path/],
    [
      "name constraints of its own",
      ask({}, caCsr(["nameConstraints=critical,permitted;URI:pay.example"])),
      "malformed",
      /extension other than/,
    ],
    ["usages of leaves", ask({ usages: ["cert sign", "server auth"] }), "request-denied", /"server auth"/],
    ["other usages in the CSR", ask({}, caCsr(["extendedKeyUsage=serverAuth"])), "malformed", /other usages/],
    [
      "CRLs in the CSR alone",
      ask({ usages: ["cert sign"] }, caCsr(["keyUsage=keyCertSign,cRLSign"])),
      "malformed",
      /usages/,
    ],
    [
      "a name",
      ask({}, namedCsr({ subject: "/CN=a", extensions: ["subjectAltName=DNS:a.example"] })),
      "request-denied",
      /no names/,
    ],
    ["nobody", ask({}, namedCsr()), "request-denied", /subject/],
    [
      "what an agent serves with",
      ask({}, namedCsr({ subject: "/CN=ca.east.example" })),
      "request-denied",
      /serve with/,
    ],
    ["more time than is given", { ...ask(), validitySeconds: 31 * daySeconds }, "request-denied", /maximumSeconds/],
    [
      "the door of CertificateSigningRequests",
      ask({ door: "csr", username: "system:serviceaccount:shop-ca:web" }),
      "request-denied",
      /CertificateSigningRequests/,
    ],
  ];
  for (const [what, item, code, says] of refused)
    await t.test(`refused: ${what}`, async () => {
      await assertItemRefused(stack, async () => await east.sign(item), code, says);
    });

  await t.test("refused: another cluster's agent", async () => {
    await assertItemRefused(stack, async () => await west.sign(ask()), "no-rule");
  });

  await t.test("refused: the subject of what signs it", async () => {
    const [, above] = await signed(stack, east, ask());
    const [, name = ""] = /CN=(.*)/.exec(new X509Certificate(above).subject) ?? [];
    const csr = namedCsr({ subject: `/CN=${name}` });
    await assertItemRefused(stack, async () => await east.sign(ask({}, csr)), "request-denied", /subject is that of/);
  });

  await t.test(
    "refused: who has a CA certificate of ours, as a VM that has a leaf with the same words in it",
    async () => {
      const key = makeKey("P-256");
      const der = issued(
        await east.sign(ask({}, buildCsr({ key, subject: encodeName("till"), attributes: toElement(tag.context0) }))),
      );
      const account = { namespace: "shop", serviceAccount: "till" };
      const uri = "spiffe://shop.example/ns/shop/sa/till";
      const csr = csrFor(uri);
      const leaf = issued(await east.sign({ csr, token: podToken("east", { ...account, pod: false }) }));
      issued(await east.sign({ csr, certificate: leaf }));
      const { serial, notBefore, notAfter } = readCertificate(leaf);
      const ours = { certificate: der, algorithm: "P-256", signer: makeSigner("P-256", key) } as const;
      const content = { serial, notBefore, notAfter, spki: key.spki, names: { uri, dns: [] } };
      const forged = await signTbs(ours, toTbs(toLeafTemplate(ours, "workload"), content));
      const inOurWords = await signTbs(ours, readCertificate(leaf).tbs);
      for (const [certificate, says] of [
        [forged, /the ledger does not have it/],
        [inOurWords, /its signature is wrong/],
        [der, /given to a pod/],
      ] as const)
        await assertItemRefused(stack, async () => await east.sign({ csr, certificate }), "proof-invalid", says);
    },
  );

  await t.test("what is asked again under one UID and is no CA any more is another request", async () => {
    const item = ask({ usages: ["digital signature"] }, caCsr([]));
    issued(await east.sign(item));
    const leaf = { ...item, request: { ...item.request, isCa: false } };
    await assertItemRefused(stack, async () => await east.sign(leaf), "replay-differs");
  });

  await t.test("explain says what signing does", async () => {
    const granted = await explained(stack, ask());
    assert.deepEqual([granted.granted, granted.identity], [true, "ca:till"], granted.message);
    assert.match(granted.authority, /^delegating-shop-/);
    const { code, message, fixes } = await explained(stack, ask({ namespace: "shop-web" }));
    assert.equal(code, "request-denied");
    assert.match(message, /spec\.requests\.authorities/);
    assert.ok(fixes.length > 0);
  });

  await t.test("whose key is lost is named in the blast radius, with what ends it", async () => {
    const leaf = issued(await east.sign(ask()));
    const serial = new X509Certificate(leaf).serialNumber.toLowerCase();
    const reach = async (kind: string, name: string): Promise<Reach__Output> =>
      await last(readStream(operator.blastRadius({ kind, name })));
    const [authority = ""] = [lastIntent(site.databasePath)["authority"]].map(String);
    for (const [kind, name] of [
      ["tenant", "shop"],
      ["cluster", "east"],
      ["root", "shop"],
      ["authority", authority],
    ] as const)
      assert.match(
        (await reach(kind, name)).means.join("\n"),
        new RegExp(`CA certificate ${serial} \\(ca:till\\)`),
        kind,
      );
    assert.doesNotMatch((await reach("root", "main")).means.join("\n"), /CA certificate/);
    assert.ok((await reach("tenant", "shop")).mends.some((line) => line.includes(authority)));
    const act = { operator: "test", reason: "lost" };
    const revoke = { act, target: "serials" as const, serials: { serials: [serial] } };
    const done: RevokeProgress__Output = await last(readStream(operator.revoke(revoke)));
    assert.equal(done.revoked, 1);
    assert.doesNotMatch((await reach("tenant", "shop")).means.join("\n"), new RegExp(serial));
  });

  await t.test("suspended, a cluster or a tenant gets none, nor what it got before", async () => {
    const item = ask();
    issued(await east.sign(item));
    await stack.issuer.suspend("tenant", "shop");
    await assertItemRefused(stack, async () => await east.sign(item), "suspended");
    await assertItemRefused(stack, async () => await east.sign(ask()), "suspended");
    await stack.issuer.suspend("tenant", "shop", false);
    await stack.issuer.suspend("cluster", "east");
    await assert.rejects(async () => issued(await east.sign(item)));
    await stack.issuer.suspend("cluster", "east", false);
    issued(await east.sign(item));
  });

  await t.test("documents that share the root are not taken, and the last good ones go on", async () => {
    const shared = tenant("pay", "shop", {});
    site.declare([...documents, shared]);
    await eventually(() =>
      assert.match(
        JSON.stringify(stack.issuer.log.of("resources refused, the last good ones stay in force")),
        /is not this tenant's alone/,
      ),
    );
    issued(await east.sign(ask()));
    site.declare([...documents.filter((one) => one !== shop), tenant("shop", "shop", {}), shared]);
    await eventually(async () => {
      const { stdout } = await espalier(["tenant", "list", "-o", "json"], site.config.adminSocket);
      assert.match(stdout, /CA certificates of another tenant are under TrustRoot \\"shop\\"/);
    });
    await assertItemRefused(stack, async () => await east.sign(ask()), "request-denied", /gives none/);
    const theirs = { ...ask({ namespace: "pay", isCa: false }, namedCsr({ subject: "/CN=a" })), signer: "pay" };
    await assertItemRefused(stack, async () => await east.sign(theirs), "unavailable");
    site.declare(documents);
    await eventually(async () => void issued(await east.sign(ask())));
  });

  await t.test("what is revoked with its authority is given out no more, and another follows", async () => {
    const item = ask();
    issued(await east.sign(item));
    const id = String(lastIntent(site.databasePath)["authority"]);
    const { stdout, code } = await espalier(
      ["revoke", "authority", id, "--reason", "x", "-o", "json"],
      site.config.adminSocket,
    );
    assert.equal(code, 0, stdout);
    assert.match(stdout, /"successor": "delegating-shop-/);
    await assertItemRefused(stack, async () => await east.sign(item), "suspended");
    await signed(stack, east, ask());
    assert.notEqual(lastIntent(site.databasePath)["authority"], id);
  });
});

test("none outlives the authority above it, nor is it cut below half of what was asked", async () => {
  const half = daySeconds / 2;
  const workload = { defaultSeconds: 600, maximumSeconds: 600 };
  const short = { authority: { validityDays: 1 }, profiles: { workload } };
  const requests = { maximumSeconds: 600, authorities: { namespaces: ["shop-ca"], maximumSeconds: half } };
  const declared = [
    document("TrustRoot", "shop", {}),
    tenant("shop", "shop", requests, short),
    clusterDocument("east"),
  ];
  await using stack = await startStack({ documents: declared });
  const east = await stack.thief("east");
  const long = () => ({ ...ask(), validitySeconds: half });
  stack.clock.offsetSeconds += 16 * 3600;
  const [ca, above] = (await signed(stack, east, long())).map((der) => readCertificate(der));
  assert.ok(ca && above);
  assert.equal(+ca.notAfter, +above.notAfter);
  stack.clock.offsetSeconds += 3 * 3600;
  await assertItemRefused(stack, async () => await east.sign(long()), "unavailable");
});

test("a rotation of the root waits for CA certificates, and for those who trust what is below them", async () => {
  await using stack = await startStack({ documents, renewalMs: 50, config: { rotation: { settleSeconds: 60 } } });
  const { site, clock } = stack;
  const east = await stack.thief("east");
  issued(await east.sign({ ...ask(), validitySeconds: 3600 }));
  const root = async (...argv: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await espalier(["root", ...argv], site.config.adminSocket);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const waits = async (): Promise<readonly string[]> => {
    const [one]: readonly { waitingFor: readonly { kind: string; name: string }[] }[] = JSON.parse(
      await root("status", "shop", "-o", "json"),
    );
    return one?.waitingFor.map(({ kind, name }) => `${kind} ${name}`) ?? [];
  };
  await root("rotate", "shop", "--reason", "yearly");
  await eventually(async () => {
    const found = await waits();
    assert.ok(found.includes("leaves shop/east/certificate-request"), found.join());
    assert.ok(found.includes("door certificate-request:east"), found.join());
  });
  await eventually(async () => {
    const found = await waits();
    assert.ok(
      found.some((one) => one.startsWith("settle ")) && !found.some((one) => one.startsWith("agent ")),
      found.join(),
    );
  }, 60_000);
  clock.offsetSeconds += 3600 + 120;
  // Both of the tenant's authorities follow, and then the new root is the one above.
  await eventually(async () => {
    const { stdout } = await espalier(["authority", "list", "shop", "-o", "json"], site.config.adminSocket);
    const all: readonly { id: string; state: string }[] = JSON.parse(stdout);
    assert.ok(
      all.some(({ id, state }) => id.startsWith("delegating-") && state === "prepared"),
      stdout,
    );
  }, 60_000);
});
