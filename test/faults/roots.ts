/** Roots: made, brought, rotated; and the authorities that stand under them. */
import type { Rotation } from "../../src/controller/rotation.ts";
import { createRoot } from "../../src/issuer/admin.ts";
import { renewAuthorities } from "../../src/issuer/renew.ts";
import { bringRoot } from "../../src/issuer/root-verbs.ts";
import { continueRotation, holdRotation, rollBackRotation, rotateRoot } from "../../src/issuer/rotation-verbs.ts";
import { findRotation } from "../../src/issuer/rotations.ts";
import type { RotationRequest__Output } from "../../src/rpc/gen/espalier/v1/RotationRequest.ts";
import { ask } from "./asking.ts";
import { expect } from "./book.ts";
import { factOf } from "./facts.ts";
import { declaredAs, guestRoot, guests, spareRoot } from "./mesh.ts";
import { minuteMs, type Scene, say, whereReady } from "./scene.ts";
import { judgeTrust } from "./trust.ts";

const main = { kind: "root", owner: "main" } as const;
/** Longer than a successor is made ahead, and shorter than it may wait; three of them outlive a certificate. */
const stepMs = 40 * minuteMs;
/** Steps that a rotation takes where nothing stands against it. */
const stepsMax = 12;

/** What is due, as the leader does it every minute. */
export async function renew({ life, documents }: Scene): Promise<void> {
  await renewAuthorities(declaredAs(documents.edited), life);
  await life.live.refresh();
}

export async function makeRoot(scene: Scene): Promise<void> {
  const request = { target: "trustRoot", trustRoot: spareRoot, dryRun: false } as const;
  await say(scene, async (act) => {
    const { created } = await createRoot({ ...request, act }, scene.life);
    return { changed: created === true };
  });
}

/** One generation after the other; the second is prepared beside the first. */
export async function bringGuest(scene: Scene): Promise<void> {
  for (const { certificate } of guests) {
    const request = { trustRoot: guestRoot, certificate: Buffer.from(certificate), key: Buffer.of(), dryRun: false };
    await say(scene, async (act) => {
      const { root } = await bringRoot({ ...request, act }, scene.life);
      return { changed: root?.created === true };
    });
  }
}

function order(): Omit<RotationRequest__Output, "act"> {
  return { target: "trustRoot", trustRoot: main.owner, dryRun: false, acknowledge: [], to: "" };
}

/** Where the last one is not over, this goes on with that. */
async function begin(scene: Scene): Promise<void> {
  scene.book.may.push((fact) => fact === factOf.hold);
  await whereReady(async () => await say(scene, async (act) => await rotateRoot({ ...order(), act }, scene.life)));
}

async function look({ life }: Scene): Promise<Rotation | undefined> {
  return findRotation(await life.rotations.look(), main);
}

async function isHeld({ life }: Scene): Promise<boolean> {
  return (await life.state.rotationMarks()).some(({ kind }) => kind === "hold");
}

/** From its begin, or where it stands, to its end: an operator acknowledges what nobody else can, and time goes on. */
export async function rotate(scene: Scene): Promise<void> {
  const { life, clock, book } = scene;
  await begin(scene);
  for (let step = 0; step < stepsMax; step += 1) {
    const rotation = await look(scene);
    if (rotation === undefined || life.dead()) return;
    const acknowledge = rotation.gate.waitingFor
      .filter(({ kind }) => kind === "agent" || kind === "door")
      .map(({ name }) => name);
    if (acknowledge.length > 0 || (await isHeld(scene))) {
      await say(scene, async (act) => await continueRotation({ ...order(), act, acknowledge }, life));
      if (!life.dead() && (await isHeld(scene))) book.faults.push("a rotation was continued and is held");
    }
    await ask(
      (["shop", "bank"] as const).map((tenant) => ({ tenant, key: "" })),
      scene,
    );
    clock.pass(stepMs);
    await life.rotations.advance();
    await renew(scene);
    judgeTrust(await life.state.authorities(), book, clock.now());
  }
  if (!life.dead()) book.faults.push("a rotation does not end by itself");
}

/** Nothing is due while it is held, however long. */
export async function hold(scene: Scene): Promise<void> {
  const { life, clock, book } = scene;
  await begin(scene);
  if ((await look(scene)) === undefined) return;
  await say(scene, async (act) => await holdRotation({ ...order(), act }, life));
  if (!life.dead()) book.must.set(factOf.hold, "yes");
  clock.pass(stepMs);
  const phase = (await look(scene))?.phase;
  await life.rotations.advance();
  if (!life.dead() && (await look(scene))?.phase !== phase) book.faults.push("a rotation goes on while it is held");
}

/** Back to the older root, from whichever phase it is in. */
export async function rollBack(scene: Scene): Promise<void> {
  const { life, book, random } = scene;
  await begin(scene);
  expect(book, factOf.hold, "");
  if (random.next() < 0.3) await life.rotations.advance();
  if ((await look(scene)) === undefined) return;
  await say(scene, async (act) => await rollBackRotation({ ...order(), act }, life));
  await renew(scene);
}
