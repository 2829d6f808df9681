/** What follows from edited documents, and the authority whose root's key is somewhere else. */
import { generateKeyPairSync } from "node:crypto";
import { copySuspensions } from "../../src/issuer/copy-suspensions.ts";
import { bringRootCrl } from "../../src/issuer/revoke.ts";
import { importFormer, takeAnswer } from "../../src/issuer/root-verbs.ts";
import type { AuthorityRequest } from "../../src/ledger/state.ts";
import { readAuthorityCsr } from "../../src/pki/authority-request.ts";
import { createCrl } from "../../src/pki/crl.ts";
import { factOf } from "./facts.ts";
import { declaredAs, offlineRoot, vault } from "./mesh.ts";
import { renew } from "./roots.ts";
import { dayMs, edit, hourMs, minuteMs, type Scene, say, whereReady } from "./scene.ts";

/** As a person does it elsewhere, who was given the request. */
export async function answer({ csr }: AuthorityRequest, scene: Scene): Promise<void> {
  const { spki, commonName } = readAuthorityCsr(csr);
  const certificate = Buffer.from(await vault.certify(spki, commonName, scene.clock.now()));
  await whereReady(
    async () => await say(scene, async (act) => await takeAnswer({ act, certificate, dryRun: false }, scene.life)),
  );
}

/** Its documents ask for another key, so that one is asked for. */
async function askAnew(scene: Scene): Promise<AuthorityRequest | undefined> {
  await renew(scene);
  const waits = async (): Promise<AuthorityRequest | undefined> =>
    (await scene.life.state.authorityRequests()).find(({ tenant }) => tenant === "mint");
  const before = await waits();
  if (before !== undefined) return before;
  await edit(scene, { mint: !scene.documents.edited.mint });
  await renew(scene);
  return await waits();
}

export async function succeed(scene: Scene): Promise<void> {
  const request = await askAnew(scene);
  if (request === undefined) return;
  await answer(request, scene);
  scene.clock.pass(20 * minuteMs);
  await renew(scene);
}

/** The documents are as they were before, before anybody has answered. */
export async function withdraw(scene: Scene): Promise<void> {
  const request = await askAnew(scene);
  if (request === undefined) return;
  await edit(scene, { mint: !scene.documents.edited.mint });
  await renew(scene);
}

/** They are as they were before, and what was answered signs nothing. */
export async function giveUp(scene: Scene): Promise<void> {
  const request = await askAnew(scene);
  if (request === undefined) return;
  await answer(request, scene);
  await edit(scene, { mint: !scene.documents.edited.mint });
  await renew(scene);
}

/** An authority that another CA has used until now. */
export async function importOne(scene: Scene): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: scene.documents.edited.mint ? "P-384" : "P-256",
  });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const certificate = Buffer.from(await vault.certify(spki, "former", scene.clock.now()));
  const key = privateKey.export({ type: "pkcs8", format: "der" });
  const request = { tenant: "mint", certificate, key, dryRun: false };
  await whereReady(async () => await say(scene, async (act) => await importFormer({ ...request, act }, scene.life)));
}

export async function bringCrl(scene: Scene): Promise<void> {
  const { life, clock } = scene;
  const [at, state] = [clock.now(), life.state];
  const root = (await state.authorities()).find(({ kind, owner }) => kind === "root" && owner === offlineRoot);
  if (root === undefined) return;
  const last = (await state.crls()).find(({ authority }) => authority === root.id);
  const revoked = await state.revocations(root.id, at);
  const crl = await createCrl({
    signer: vault.signer,
    certificate: vault.certificate,
    number: (last?.number ?? 0) + 1,
    thisUpdate: new Date(+at - hourMs),
    nextUpdate: new Date(+at + 30 * dayMs),
    revoked: revoked.map(({ serial }) => ({ serial, at: new Date(+at - hourMs), reason: 0 })),
  });
  const request = { trustRoot: offlineRoot, crl: Buffer.from(crl), dryRun: false };
  await say(scene, async (act) => await bringRootCrl({ ...request, act }, life));
}

/** `forge` gives no CA certificates any more and is suspended, or the other way round; the leader copies what holds. */
export async function editForge(scene: Scene): Promise<void> {
  const { life, book, documents } = scene;
  const fact = factOf.suspended("document", "tenant", "forge");
  book.may.push((one) => one === fact);
  for (let turn = 0; turn < 2; turn += 1) {
    await edit(scene, { forge: !documents.edited.forge });
    await renew(scene);
    await copySuspensions(declaredAs(documents.edited), life);
    if (life.dead()) return;
    await life.live.refresh();
    if (scene.random.next() < 0.5) break;
  }
  book.must.set(fact, documents.edited.forge ? "yes" : "");
}
