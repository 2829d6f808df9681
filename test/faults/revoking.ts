/** What is taken back: suspensions, denials, revocations. From the write on that says so, no intent is allowed. */
import { setSuspended } from "../../src/issuer/admin.ts";
import { revoke } from "../../src/issuer/revoke.ts";
import type { SuspensionKey } from "../../src/ledger/state.ts";
import { readCertificate } from "../../src/pki/certificate.ts";
import type { RevokeProgress } from "../../src/rpc/gen/espalier/v1/RevokeProgress.ts";
import type { RevokeRequest__Output } from "../../src/rpc/gen/espalier/v1/RevokeRequest.ts";
import { ask } from "./asking.ts";
import { expect } from "./book.ts";
import { factOf } from "./facts.ts";
import { identityOf, type Tenant, tenants } from "./mesh.ts";
import { isWhole, type Scene, say, toAct } from "./scene.ts";

export async function suspendOrResume(scene: Scene): Promise<void> {
  const name = scene.random.pick(tenants);
  await suspend({ kind: "tenant", name }, true, scene);
  if (isWhole(scene)) await suspend({ kind: "tenant", name }, false, scene);
}

export async function denyOrAllow(scene: Scene): Promise<void> {
  const tenant = scene.random.pick(tenants);
  const key = { kind: "workload", name: `${tenant}/${identityOf(tenant)}` } as const;
  await suspend(key, true, scene);
  if (isWhole(scene)) await suspend(key, false, scene);
}

/** By an operator. Half of the suspensions as if another replica had written them and this one had not heard: the ledger has to refuse. */
export async function suspend(key: SuspensionKey, suspended: boolean, scene: Scene): Promise<void> {
  const { life, book, random } = scene;
  const { kind, name } = key;
  const fact = factOf.suspended("operator", kind, name);
  expect(book, fact, suspended ? "yes" : "");
  if (suspended && random.next() < 0.5) {
    const verb = kind === "workload" ? "deny-workload" : `suspend-${kind}`;
    await life.state.setSuspended(key, true, toAct(verb, name));
  } else {
    const request = { kind, name: kind === "workload" ? toTyped(name) : name, suspended };
    await say(scene, async (act) => await setSuspended({ ...request, act }, life));
  }
  if (life.dead()) return;
  book.must.set(fact, suspended ? "yes" : "");
  const tenant = tenants.find((one) => name === one || name.startsWith(`${one}/`));
  if (suspended && tenant !== undefined) await ask([{ tenant, key: "" }], scene);
}

/** `<tenant>/<namespace>/<service account>`, as it is typed. */
function toTyped(name: string): string {
  const [tenant = "", , , , , namespace = "", , account = ""] = name.split("/");
  return `${tenant}/${namespace}/${account}`;
}

/** The answer to the verb, once it is done. */
async function take(scene: Scene, target: Partial<RevokeRequest__Output>): Promise<RevokeProgress> {
  const request = { crlReason: "superseded", dryRun: false, ...target };
  return await say(scene, async (act) => {
    let last: RevokeProgress = {};
    for await (const progress of revoke({ ...request, act }, scene.life)) last = progress;
    return { ...last, changed: last.changed === true || (last.revoked ?? 0) > 0 };
  });
}

function mayRevoke({ book }: Scene): void {
  book.may.push((fact, reason) => fact.startsWith("revoked ") && reason === "superseded");
}

/** Of certificates that were given just now, some of which have ended by then. */
export async function revokeSerials(scene: Scene): Promise<void> {
  const { life, book, random, clock } = scene;
  mayRevoke(scene);
  const asked = [random.pick(tenants), "mint"] as const;
  await ask(
    asked.map((tenant) => ({ tenant, key: "" })),
    scene,
  );
  const living = book.held.filter(({ notAfter }) => notAfter > clock.now());
  const serials = living.slice(-3).map(({ leaf }) => Buffer.from(readCertificate(leaf).serial));
  if (serials.length === 0) return;
  const texts = serials.map((serial) => serial.toString("hex"));
  const { revoked, already } = await take(scene, { target: "serials", serials: { serials: texts, more: false } });
  if (life.dead() || (revoked ?? 0) + (already ?? 0) < serials.length) return;
  for (const serial of serials) book.must.set(factOf.revoked(serial), "superseded");
}

export async function revokeWorkload(scene: Scene): Promise<void> {
  const { life, book, random } = scene;
  const tenant: Tenant = random.pick(tenants);
  const fact = factOf.suspended("operator", "workload", `${tenant}/${identityOf(tenant)}`);
  mayRevoke(scene);
  expect(book, fact, "yes");
  await ask([{ tenant, key: "" }], scene);
  const workload = { tenant, namespace: `${tenant}-1`, serviceAccount: "web" };
  await take(scene, { target: "workload", workload });
  if (!life.dead()) book.must.set(fact, "yes");
}

/** All that it has is revoked, and an operator lets it in again. */
export async function revokeCluster(scene: Scene): Promise<void> {
  const { life, book } = scene;
  const fact = factOf.suspended("operator", "cluster", "east");
  mayRevoke(scene);
  book.may.push((one) => one === fact);
  await take(scene, { target: "cluster", cluster: "east" });
  const left = [];
  for await (const { intents } of life.ledger.live({ cluster: "east" }, life.now())) left.push(...intents);
  if (!life.dead() && left.some(({ isRevoked }) => !isRevoked)) book.faults.push("a revoked cluster has certificates");
  await suspend({ kind: "cluster", name: "east" }, false, scene);
}

/** Its successor signs at once. */
export async function revokeAuthority(scene: Scene): Promise<void> {
  const { life, book } = scene;
  const authority = life.world().authorities.active("tenant", "bank")?.record.id;
  if (authority === undefined) return;
  mayRevoke(scene);
  const { successor } = await take(scene, { target: "authority", authority });
  if (life.dead()) return;
  const now = (await life.state.authorities()).find(({ id }) => id === authority)?.state;
  if (now !== "revoked") book.faults.push(`an operator was told that ${authority} is revoked, and it is ${now}`);
  if (successor === authority) book.faults.push(`${authority} is revoked and succeeds itself`);
}
