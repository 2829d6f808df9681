/** What any Custody promises. Node's own crypto judges the signatures. */
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { test } from "node:test";
import type { Custody, KeyAlgorithm, Signer } from "../../src/custody/signer.ts";

const digests: Readonly<Record<KeyAlgorithm, string>> = {
  "P-256": "sha256",
  "P-384": "sha384",
  "RSA-2048": "sha256",
  "RSA-3072": "sha256",
  "RSA-4096": "sha256",
};
const algorithms: readonly KeyAlgorithm[] = ["P-256", "P-384", "RSA-2048", "RSA-3072", "RSA-4096"];

/** Each custody that is opened has no keys yet. */
export function custodyContract(kind: string, open: () => Promise<Custody>): void {
  for (const algorithm of algorithms) {
    test(`${kind}: a key of ${algorithm} signs, and signs as the same key when it is opened again`, async () => {
      const custody = await open();
      const made = await custody.createKey("tenant-shop.1", algorithm);
      const opened = await custody.openKey("tenant-shop.1");
      assert.equal(made.algorithm, algorithm);
      assert.equal(opened.algorithm, algorithm);
      assert.deepEqual(Buffer.from(opened.spki), Buffer.from(made.spki));
      for (const signer of [made, opened]) await assertSigns(signer);
    });
  }

  test(`${kind}: many signatures at once are each of what was to be signed`, async () => {
    const custody = await open();
    const signer = await custody.createKey("busy", "P-256");
    const texts = Array.from({ length: 100 }, (_, i) => Buffer.from(`to be signed ${i}`));
    const signatures = await Promise.all(texts.map(async (text) => await signer.sign(text)));
    for (const [i, text] of texts.entries()) assert.ok(holds(signer, text, signatures[i] ?? text), `signature ${i}`);
  });

  test(`${kind}: a key that was made elsewhere is taken in once, or none is`, async () => {
    const custody = await open();
    // A token's keys are made in it.
    if (custody.importKey === undefined) return;
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
    const taken = await custody.importKey("brought", pkcs8);
    assert.deepEqual(Buffer.from(taken.spki), publicKey.export({ format: "der", type: "spki" }));
    for (const signer of [taken, await custody.openKey("brought")]) await assertSigns(signer);
    await assert.rejects(custody.importKey("brought", pkcs8), { code: "not-ready" });
    await assert.rejects(custody.createKey("brought", "P-256"), { code: "not-ready" });
    await assert.rejects(custody.importKey("../brought", pkcs8), { code: "config" });
    const edwards = generateKeyPairSync("ed25519").privateKey.export({ format: "der", type: "pkcs8" });
    await assert.rejects(custody.importKey("edwards", edwards), { code: "config", message: /algorithm/ });
    const secret = Buffer.from("secret");
    await assert.rejects(custody.importKey("broken", secret), (error: Error) => {
      assert.ok(!error.message.includes("secret") && error.cause === undefined);
      return true;
    });
    for (const name of ["edwards", "broken"]) await assert.rejects(custody.openKey(name), { code: "not-found" });
  });

  test(`${kind}: a name is given once`, async () => {
    const custody = await open();
    const first = await custody.createKey("ledger", "P-256");
    await assert.rejects(custody.createKey("ledger", "P-256"), { code: "not-ready" });
    assert.deepEqual(Buffer.from((await custody.openKey("ledger")).spki), Buffer.from(first.spki));
  });

  test(`${kind}: of two who make one name at once, one is refused`, async () => {
    const custody = await open();
    const made = await Promise.allSettled([1, 2, 3].map(() => custody.createKey("raced", "P-256")));
    assert.equal(made.filter(({ status }) => status === "fulfilled").length, 1);
  });

  test(`${kind}: a key that is not there is not found`, async () => {
    const custody = await open();
    await assert.rejects(custody.openKey("nobody"), { code: "not-found" });
  });

  test(`${kind}: names that could lead elsewhere are refused`, async () => {
    const custody = await open();
    const names = [
      "",
      ".",
      "..",
      "../x",
      "a/b",
      "/etc/x",
      "a\0b",
      ".hidden",
      "A",
      "a..b",
      "-a",
      "a-",
      "a b",
      "é",
      "a".repeat(129),
    ];
    for (const name of names) {
      await assert.rejects(custody.createKey(name, "P-256"), { code: "config" }, JSON.stringify(name));
      await assert.rejects(custody.openKey(name), { code: "config" }, JSON.stringify(name));
    }
  });
}

async function assertSigns(signer: Signer): Promise<void> {
  const bytes = Buffer.from("to be signed");
  const signature = await signer.sign(bytes);
  assert.ok(holds(signer, bytes, signature));
  assert.ok(!holds(signer, Buffer.from("something else"), signature));
}

function holds(signer: Signer, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(signer.spki), format: "der", type: "spki" });
  return verify(digests[signer.algorithm], bytes, key, signature);
}
