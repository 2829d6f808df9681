/** The database itself: its order, what it lets go, who may call, which history counts, and the keys in it. */
import { createHash, generateKeyPairSync } from "node:crypto";
import { copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { createSealingKey, readSealingKey } from "../../src/custody/sealing-key.ts";
import { Refusal } from "../../src/errors.ts";
import { checkHighWater, readLost } from "../../src/issuer/high-water.ts";
import { createOperator, revokeOperator } from "../../src/issuer/operators.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import { toCsr } from "../../src/pki/request.ts";
import { ask, askSome, hold, ownCertificate } from "./asking.ts";
import { expect } from "./book.ts";
import { factOf, toOperatorFact } from "./facts.ts";
import { dayMs, type Scene, say, toAct } from "./scene.ts";

const operatorKeys = Array.from({ length: 2 }, () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  return { csr: Buffer.from(toCsr({ privateKey })), sha256: createHash("sha256").update(spki).digest() };
});

/** Everything has its place after it, and a head says so. */
export async function sequence(scene: Scene): Promise<void> {
  await ownCertificate(scene);
  await scene.life.sequencer.sequence();
}

/** In good order: what was signed is written down on the way out. */
export async function end(scene: Scene): Promise<void> {
  await ownCertificate(scene);
  await scene.life.end();
  scene.life.kill();
}

/** A role and a key; what stood under the name before is nobody from then on. */
export async function makeOperator(scene: Scene): Promise<void> {
  const { life, book, random } = scene;
  const [name, role, key] = [
    random.pick(["ada", "bob"]),
    random.pick(["viewer", "operator", "admin"]),
    random.pick(operatorKeys),
  ];
  const fact = toOperatorFact(role, key.sha256, false);
  expect(book, factOf.operator(name), fact);
  const request = { name, role, csr: key.csr, days: 1, dryRun: false };
  const { certificate } = await say(scene, async (act) => await createOperator({ ...request, act }, life));
  if (life.dead()) return;
  book.must.set(factOf.operator(name), fact);
  const hubRoot = life.world().authorities.active("hub", life.world().hub)?.record.id ?? "";
  if (certificate instanceof Uint8Array) hold(certificate, hubRoot, "", book);
}

export async function endOperator(scene: Scene): Promise<void> {
  const { life, book } = scene;
  if (!(await life.state.operators()).some(({ revokedAt }) => revokedAt === undefined)) await makeOperator(scene);
  const found = (await life.state.operators()).find(({ revokedAt }) => revokedAt === undefined);
  if (found === undefined) return;
  const { name, role, keySha256 } = found;
  const fact = toOperatorFact(role, keySha256, true);
  expect(book, factOf.operator(name), fact);
  await say(scene, async (act) => await revokeOperator({ act, name }, life));
  if (!life.dead()) book.must.set(factOf.operator(name), fact);
}

/** Whatever has ended is let go; what has not stays, and so does every tree. */
export async function prune(scene: Scene): Promise<void> {
  const { life, book, clock } = scene;
  await askSome(scene);
  await life.sequencer.sequence();
  clock.pass(2 * dayMs);
  await ask([{ tenant: "shop", key: "" }], scene);
  await life.sequencer.sequence();
  book.pruned = true;
  await life.state.prune(clock.now(), () => !life.dead());
  for (const { leaf, notAfter } of book.held)
    if (notAfter > clock.now() && (await life.ledger.findSerial(readCertificate(leaf).serial)) === undefined)
      book.faults.push("retention has let go of what a client shows still");
}

/** What was remembered of another history is given up: until then no issuer starts, and nobody who led it leads. */
export async function adopt(scene: Scene): Promise<void> {
  const { life, book, clock, disk } = scene;
  const { marks } = life.database;
  clock.pass(1000);
  const at = clock.now().toISOString();
  writeFileSync(disk.highWater, `entry 999999999 ${"00".repeat(32)} epoch ${life.sequencer.epoch} at ${at}\n`);
  try {
    const lost = await readLost(disk.highWater, marks);
    if (lost === undefined || !(await isRefused(disk.highWater, scene)))
      return void book.faults.push("a database that lacks what was remembered is taken");
    const act = toAct("adopt-database", lost.at.toISOString());
    await life.state.adopt(clock.now(), lost.epoch + 1000, act);
    if (life.dead()) return;
    book.told.add(act.reason);
    if (await isRefused(disk.highWater, scene)) book.faults.push("an adopted database is refused");
  } finally {
    // No issuer runs while an operator does this.
    life.kill();
  }
}

async function isRefused(file: string, { life }: Scene): Promise<boolean> {
  return await checkHighWater(file, life.database.marks).then(
    () => false,
    (error: unknown) => {
      if (error instanceof Refusal && error.code === "config") return true;
      throw error;
    },
  );
}

/** Every key is sealed anew: the old file opens all of them, or the new one does. */
export async function reseal(scene: Scene): Promise<void> {
  const { life, book, disk } = scene;
  if (!existsSync(disk.sealingKey)) return;
  const next = `${disk.sealingKey}.next`;
  rmSync(next, { force: true });
  await createSealingKey(next);
  const [from, to] = [await readSealingKey(disk.sealingKey), await readSealingKey(next)];
  const resealed = (await life.state.sealedKeys()).map((key) => to.seal(key.name, from.unseal(key)));
  expect(book, factOf.sealedBy, to.id);
  const act = toAct("reseal-keys", to.id);
  try {
    await life.state.resealKeys(from.id, resealed, act);
    if (life.dead()) return;
    book.told.add(act.reason);
    book.must.set(factOf.sealedBy, to.id);
  } finally {
    // As an operator does it who looks: the file is put there that the keys say.
    if ((await life.database.state.sealedKeys()).some(({ sealedBy }) => sealedBy === to.id))
      copyFileSync(next, disk.sealingKey);
  }
}
