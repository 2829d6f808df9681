/**
 * Roots rotated one after the other under a clock of its own: real ledger, real gates, real certificates, several issuers that
 * hear of a change at different times, and agents of which some are cut off in each rotation and healed later. Workloads renew
 * at half of their certificates' life, as Istio's do, and trust the bundle that came with what they have; whoever has no agent
 * keeps what it has until it ends. At every step some of those that are alive are handed to a judge, pair by pair.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { addRoot } from "../../src/controller/root.ts";
import { decideRollBack, type Rotation } from "../../src/controller/rotation.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import { Refusal } from "../../src/errors.ts";
import { openAuthorities } from "../../src/issuer/authorities.ts";
import { prepare } from "../../src/issuer/prepare.ts";
import { openRotations } from "../../src/issuer/rotations.ts";
import { sign } from "../../src/issuer/sign.ts";
import { toClusterTrust } from "../../src/issuer/trust.ts";
import { toWorld, type World } from "../../src/issuer/world.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRecord } from "../../src/ledger/state.ts";
import { silentLog } from "../../src/ops/log.ts";
import { cluster, join as documents, read, root, tenant } from "../resources/build.ts";

export interface Holder {
  readonly name: string;
  readonly spki: Uint8Array;
  readonly keyPem: string;
  /** DER. */
  readonly leaf: Uint8Array;
  readonly intermediates: readonly Uint8Array[];
  readonly roots: readonly Uint8Array[];
  readonly uri: string;
  /** Its authority and the version of its bundle. */
  readonly generation: string;
}

/** Of each pair the first serves and the second calls. Says what failed. */
export type Judge = (at: Date, pairs: readonly (readonly [Holder, Holder])[]) => Promise<readonly string[]>;

export interface SimulationOptions {
  readonly directory: string;
  readonly rotations: number;
  readonly seed: number;
  readonly judge: Judge;
  readonly scales?: readonly number[];
  /** Takes each step at once, whatever its gate says: what the judge must notice. */
  readonly reckless?: boolean;
  readonly told?: (line: string) => void;
}

export interface Report {
  /** At whose end a new root signed. */
  readonly rotations: number;
  /** Begun and given up before one of those. */
  readonly rolledBack: number;
  /** Of these, when the new root had taken over. */
  readonly rolledBackLate: number;
  /** Of the clock of the issuer that leads, an hour ahead or back. */
  readonly jumps: number;
  readonly simulatedDays: number;
  readonly issued: number;
  /** Intents refused because their issuer had not heard of a root. */
  readonly behind: number;
  readonly handshakes: number;
  readonly failures: readonly string[];
}

const clusters = ["c0", "c1", "c2", "c3", "c4"];
const agentsPerCluster = 2;
const tenants = ["shop", "bank"];
const workloadsPerTenant = 8;
const settleSeconds = 3600;
/** What the longest leaf of a rotation may be, in seconds; and every tenth mixes all. */
const scalesDefault = [600, 3600, 6 * 3600, 24 * 3600, 6 * 3600, 3600];
const ticksMax = 1500;
/** No phase is over sooner, not even by a clock that is an hour ahead. */
const momentTicksMax = 4;
const sampleSize = 5;
const repeats = 0.05;

interface Agent {
  readonly name: string;
  readonly cluster: string;
  cutUntil: number;
  acknowledged: string;
  told?: World;
}

interface Workload {
  readonly name: string;
  readonly tenant: string;
  readonly agent: Agent;
  readonly spki: Uint8Array;
  readonly keyPem: string;
  validitySeconds: number;
  renewAt: number;
  endsAt: number;
  issuedAt: number;
  held?: Pick<Holder, "leaf" | "intermediates" | "roots" | "generation">;
}

/** So many steps after the beginning of a phase, and before the end of any. */
interface Moment {
  readonly phase: Rotation["phase"];
  ticks: number;
}

/** An issuer: it signs by the world it has heard of last. */
interface Replica {
  world: World;
  heardAt: number;
  deafUntil: number;
}

export async function simulate(options: SimulationOptions): Promise<Report> {
  const {
    directory,
    rotations: wanted,
    seed,
    judge,
    reckless = false,
    scales = scalesDefault,
    told = () => {},
  } = options;
  const random = seeded(seed);
  const pick = (below: number): number => Math.floor(random() * below);
  let time = Date.parse("2026-01-01T00:00:00Z");
  let leaderAheadMs = 0;
  const now = (): Date => new Date(time);
  const leaderNow = (): Date => new Date(time + leaderAheadMs);
  const custody = await openFileCustody({ directory: join(directory, "keys") });
  await using database = await openSqlite({ path: join(directory, "espalier.db"), now, create: true });
  const { state, ledger } = database;
  const rules = `[{ name: all, clusters: ["*"], namespaces: ["NAME-*"] }]`;
  const declared = read(
    documents(
      root("main"),
      ...clusters.map((name) => cluster(name)),
      ...tenants.map((name) => tenant(name, { rules: rules.replace("NAME", name) })),
    ),
  );
  const parts = { state, custody, now: leaderNow, random: (n: number): Uint8Array => randomBytes(n) };
  const order = { kind: "root", owner: "main", algorithm: "P-256", validityDays: 7300 } as const;
  const by = { operator: "unix:simulation", reason: "simulation" };
  await addRoot(order, by, parts);
  await makeAuthorities(declared, parts);
  const rotations = openRotations({ state, declared: () => declared, settleSeconds, now: leaderNow, log: silentLog });

  /** As an issuer builds it; what has not changed is not built again. */
  const openWorld = async (records: readonly AuthorityRecord[], known?: World): Promise<World> => {
    const authorities = await openAuthorities(records, custody, known?.authorities);
    const none = (): readonly never[] => [];
    return toWorld({
      hub: "hub.example",
      declared,
      authorities,
      suspensions: [],
      authorityRequests: [],
      revokedOwn: new Set<string>(),
      crls: [],
      keysOf: none,
      proposedOf: none,
    });
  };
  const statesOf = (records: readonly AuthorityRecord[]): string => records.map((r) => `${r.id} ${r.state}`).join();
  const replicas: Replica[] = [];
  for (let i = 0; i < 3; i += 1)
    replicas.push({ world: await openWorld(await state.authorities()), heardAt: time, deafUntil: 0 });
  const agents = clusters.flatMap((name) =>
    Array.from({ length: agentsPerCluster }, (_, i): Agent => {
      return { name: `agent-${i}`, cluster: name, cutUntil: 0, acknowledged: "" };
    }),
  );
  const workloads = tenants.flatMap((name) =>
    Array.from({ length: workloadsPerTenant }, (_, i) => newWorkload(name, i)),
  );
  const counts = { rotations: 0, rolledBack: 0, rolledBackLate: 0, jumps: 0, issued: 0, behind: 0, handshakes: 0 };
  const failures: string[] = [];
  const asked = new Set<string>();

  function newWorkload(name: string, i: number): Workload {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const agent = agents[(i + pick(agents.length)) % agents.length];
    assert.ok(agent);
    return {
      name: `w${i}`,
      tenant: name,
      agent,
      spki: publicKey.export({ type: "spki", format: "der" }),
      keyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
      validitySeconds: 600,
      renewAt: 0,
      endsAt: 0,
      issuedAt: 0,
    };
  }

  /** Whoever can hear, hears within five minutes; the rest go on with what they know. */
  async function hear(): Promise<void> {
    const records = await state.authorities();
    for (const [i, replica] of replicas.entries()) {
      if (time < replica.deafUntil || (i > 0 && time - replica.heardAt < 300_000 && pick(3) > 0)) continue;
      replica.heardAt = time;
      if (statesOf(replica.world.authorities.records) === statesOf(records)) continue;
      replica.world = await openWorld(records, replica.world);
    }
  }

  async function acknowledge(): Promise<void> {
    for (const agent of agents) {
      if (time < agent.cutUntil) continue;
      const replica = replicas[pick(replicas.length)] ?? replicas[0];
      assert.ok(replica);
      if (agent.told === replica.world) continue;
      agent.told = replica.world;
      const { version, bundles } = toClusterTrust(replica.world, agent.cluster);
      if (version === agent.acknowledged) continue;
      agent.acknowledged = version;
      await state.acknowledge({ cluster: agent.cluster, agent: agent.name, version, bundles, inForceSince: now() });
    }
  }

  async function renew(): Promise<void> {
    const due = workloads.filter((workload) => time >= workload.renewAt && time >= workload.agent.cutUntil);
    await Promise.all(due.map(async (workload) => await issueTo(workload, pick(replicas.length))));
  }

  async function issueTo(workload: Workload, first: number): Promise<void> {
    const { tenant: log, name, spki, validitySeconds } = workload;
    const uri = `spiffe://${log}.example/ns/${log}-a/sa/${name}`;
    for (let tries = 0; tries < replicas.length; tries += 1) {
      const world = replicas[(first + tries) % replicas.length]?.world;
      const authority = world?.authorities.active("tenant", log);
      assert.ok(world && authority, `${log} has nobody at ${now().toISOString()}`);
      const fixed = { door: "istio", profile: "workload", rule: `${log}/all`, proof: "token" } as const;
      const allowed = {
        ...fixed,
        log,
        cluster: workload.agent.cluster,
        names: { uri, dns: [] },
        validitySeconds,
        authority,
      };
      const [intended] = await ledger.intend([prepare(allowed, spki, { now, random: parts.random })]);
      assert.ok(intended);
      if (intended.kind === "suspended") {
        counts.behind += 1;
        continue;
      }
      const { leaf, chain } = await sign(intended, world.authorities, ledger);
      counts.issued += 1;
      const generation = `${chain.authority}/${chain.bundle.version}`;
      workload.held = { leaf, intermediates: chain.intermediates, roots: chain.bundle.roots, generation };
      workload.issuedAt = time;
      workload.renewAt = time + validitySeconds * 500;
      workload.endsAt = time + validitySeconds * 1000;
      return;
    }
    throw new Refusal("unavailable", `no issuer signs for ${log} at ${now().toISOString()}`);
  }

  /** Whether two get on with each other is told by their authorities and bundles: most of the others are not asked again. */
  function isNews(one: Holder, other: Holder): boolean {
    const pair = `${one.generation} ${other.generation}`;
    if (asked.has(pair) && random() > repeats) return false;
    asked.add(pair);
    return true;
  }

  async function shakeHands(): Promise<void> {
    const pairs: (readonly [Holder, Holder])[] = [];
    for (const name of tenants) {
      // The oldest and the newest are the likeliest not to know each other.
      const alive = workloads.filter((w) => w.tenant === name && w.held !== undefined && time < w.endsAt);
      alive.sort((a, b) => a.issuedAt - b.issuedAt);
      const middle = alive.slice(1, -1).sort(() => random() - 0.5);
      const sample = [...alive.slice(0, 1), ...alive.slice(1).slice(-1), ...middle].slice(0, sampleSize).map(toHolder);
      for (const one of sample)
        for (const other of sample) if (one !== other && isNews(one, other)) pairs.push([one, other]);
    }
    counts.handshakes += pairs.length;
    for (const failure of await judge(now(), pairs)) failures.push(`${now().toISOString()} ${failure}`);
  }

  async function lead(): Promise<void> {
    await makeAuthorities(declared, parts);
    if (reckless) {
      // As if every gate were open.
      for (const rotation of await rotations.look()) {
        const from = rotation.phase === "prepared" ? "prepared" : "retiring";
        const { coming, leaving } = rotation;
        const changes =
          from === "prepared"
            ? ([
                { id: leaving.id, from: "active", to: "retiring" },
                { id: coming.id, from: "prepared", to: "active" },
              ] as const)
            : ([{ id: leaving.id, from: "retiring", to: "retired" }] as const);
        await state.setAuthorityStates(changes, { log: "@hub", verb: "reckless", ...by, details: {} });
      }
    } else if (await rotations.advance()) await makeAuthorities(declared, parts);
    await hear();
  }

  /** From how it stands by now: a step may have been taken in this tick, and then it may even be over. */
  async function rollBack(): Promise<void> {
    const [rotation] = await rotations.look();
    if (rotation === undefined) return;
    const act = { log: "@hub", verb: "roll-back-root", ...by, details: {} };
    await state.turnRoot({ changes: decideRollBack(rotation) }, act);
    counts.rolledBack += 1;
    if (rotation.phase === "active") counts.rolledBackLate += 1;
  }

  const newMoment = (phase: Rotation["phase"] = random() < 0.5 ? "prepared" : "active"): Moment => ({
    phase,
    ticks: pick(momentTicksMax),
  });

  /** Counts down; by what was seen in the step before. */
  function isReached(moment: Moment | undefined): boolean {
    if (moment === undefined || rotations.seen()[0]?.phase !== moment.phase) return false;
    moment.ticks -= 1;
    return moment.ticks < 0;
  }

  const activeRoot = async (): Promise<string | undefined> =>
    (await state.authorities()).find(({ kind, state }) => kind === "root" && state === "active")?.id;

  /** From a new root on, until one of the two is retired. Says in how many steps. */
  async function rotate(scale: number, tickMs: number, jumping: boolean, givingUp?: Moment): Promise<number> {
    const healedBy = time + 2 * scale * 1000;
    // A fifth of the agents, each until another time; one of the issuers; and in some the leader's clock, for a while.
    for (const agent of [...agents].sort(() => random() - 0.5).slice(0, agents.length / 5))
      agent.cutUntil = time + pick(healedBy - time);
    const deaf = replicas[1 + pick(replicas.length - 1)];
    assert.ok(deaf);
    deaf.deafUntil = time + pick(healedBy - time);
    const jump = jumping ? newMoment() : undefined;
    const jumpMs = (random() < 0.5 ? -1 : 1) * 3_600_000;
    let jumpTicks = 1 + pick(10);
    let givesUp = givingUp !== undefined;

    leaderAheadMs = 0;
    await addRoot(order, by, parts, { material: { kind: "made" }, state: "prepared" });
    for (let tick = 0; tick < ticksMax; tick += 1) {
      const jumps = isReached(jump) && (jumpTicks -= 1) >= 0;
      if (jumps && leaderAheadMs === 0) counts.jumps += 1;
      leaderAheadMs = jumps ? jumpMs : 0;
      await lead();
      await acknowledge();
      await renew();
      await shakeHands();
      if (rotations.seen().length === 0 || (reckless && failures.length > 0)) return tick;
      if (givesUp && isReached(givingUp)) {
        await rollBack();
        givesUp = false;
      }
      time += tickMs;
    }
    const [left] = await rotations.look();
    return assert.fail(`it waits for ${left?.gate.waitingFor.map(({ says }) => says).join("; ")}`);
  }

  const begun = time;
  for (let nth = 0; nth < wanted; nth += 1) {
    const mixed = nth % 10 === 9;
    const scale = mixed ? 8 * 3600 : (scales[nth % scales.length] ?? 600);
    for (const workload of workloads)
      workload.validitySeconds = mixed
        ? 600 + pick(scale - 600)
        : Math.max(600, Math.floor(scale * (0.5 + random() / 2)));
    // An authority that is prepared has an hour to take over.
    const tickMs = mixed ? 300_000 : Math.min(1800, Math.max(300, Math.floor(scale / 4))) * 1000;
    const startedAt = time;
    const before = await activeRoot();
    const jumping = nth % 3 === 2;
    // Every fourth is given up first, and begun anew once it is over.
    const givingUp = nth % 4 === 3 ? newMoment(nth % 8 === 3 ? "active" : "prepared") : undefined;
    const inVain = givingUp && (await rotate(scale, tickMs, jumping, givingUp));
    const ticks = await rotate(scale, tickMs, jumping);
    if (reckless && failures.length > 0) break;
    assert.notEqual(await activeRoot(), before, `rotation ${nth + 1} is over, and the same root signs`);
    counts.rotations += 1;
    const hours = ((time - startedAt) / 3_600_000).toFixed(1);
    const steps = inVain === undefined ? `${ticks} steps` : `${ticks} steps after ${inVain} in vain`;
    told(`rotation ${nth + 1}: leaves up to ${scale} s${mixed ? ", mixed" : ""}, ${steps}, ${hours} h`);
  }
  for await (const report of ledger.verify()) assert.deepEqual(report.faults, []);
  return { simulatedDays: Math.round((time - begun) / 86_400_000), ...counts, failures };
}

function toHolder({ name, tenant, spki, keyPem, held }: Workload): Holder {
  assert.ok(held);
  return {
    name: `${tenant}/${name}`,
    spki,
    keyPem,
    ...held,
    uri: `spiffe://${tenant}.example/ns/${tenant}-a/sa/${name}`,
  };
}

/** The same numbers for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
