/** Roots whose key is offline: what waits, what answers it, and what does not. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeAuthorities } from "../../src/controller/authority.ts";
import { importAuthority, type Taken, type TakeParts, takeAuthority } from "../../src/controller/request.ts";
import { addRoot } from "../../src/controller/root.ts";
import { nextStep } from "../../src/controller/succession.ts";
import { openFileCustody } from "../../src/custody/file.ts";
import type { Signer } from "../../src/custody/signer.ts";
import { openAuthorities } from "../../src/issuer/authorities.ts";
import { prepare } from "../../src/issuer/prepare.ts";
import type { Write } from "../../src/ledger/connection.ts";
import type { Database } from "../../src/ledger/database.ts";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import type { AuthorityRequest } from "../../src/ledger/state.ts";
import { createAuthority, createRoot } from "../../src/pki/authority.ts";
import { readAuthorityCsr } from "../../src/pki/authority-request.ts";
import { newSerial } from "../../src/pki/leaf.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { cluster, join as documents, read, root, tenant } from "../resources/build.ts";
import { keys, makeSigner } from "../support/pki.ts";

const base = temporaryDirectory();
after(() => base[Symbol.dispose]());
const custody = await openFileCustody({ directory: join(base.path, "keys") });
const random = (n: number): Uint8Array => randomBytes(n);
const hour = 3_600_000;
const day = 24 * hour;
const start = Date.parse("2026-01-01T00:00:00Z");
const by = { operator: "unix:test", reason: "test" };
const order = { kind: "root", owner: "main", algorithm: "P-256", validityDays: 3650 } as const;

/** Whoever has the root's key. */
interface Elsewhere {
  readonly certificate: Uint8Array;
  readonly signer: Signer;
  answer(
    request: AuthorityRequest,
    now: Date,
    changes?: Partial<Parameters<typeof createAuthority>[0]>,
  ): Promise<Uint8Array>;
}

async function openElsewhere(): Promise<Elsewhere> {
  const signer = makeSigner("P-256");
  const times = { notBefore: new Date(start - day), notAfter: new Date(start + 3650 * day) };
  const certificate = await createRoot({ signer, commonName: "elsewhere", serial: newSerial(random), ...times });
  return {
    certificate,
    signer,
    answer: async ({ csr }, now, changes = {}) => {
      const { spki, commonName } = readAuthorityCsr(csr);
      const validity = { notBefore: new Date(+now - hour), notAfter: new Date(+now + 99 * day) };
      return await createAuthority({
        signer,
        parent: certificate,
        spki,
        commonName,
        serial: newSerial(random),
        pathLength: 0,
        ...validity,
        ...changes,
      });
    },
  };
}

function declare(more = "authority: { validityDays: 100 }"): Declared {
  return read(documents(root("main", "{ source: offline }"), cluster("east"), tenant("shop", { more })));
}

interface Stage extends AsyncDisposable {
  readonly elsewhere: Elsewhere;
  now(): Date;
  /** Time passes. */
  pass(ms: number): void;
  database(): Database;
  parts(): TakeParts;
  /** What the issuer does by itself. */
  look(declared?: Declared): Promise<void>;
  take(answer: Uint8Array): Promise<Taken>;
  waiting(): Promise<AuthorityRequest>;
  /** The tenant's authorities, oldest first. */
  states(): Promise<string>;
  reopen(): Promise<void>;
}

let stages = 0;

/** A hub whose one root is offline, and what its database holds. */
async function openStage(write?: Write): Promise<Stage> {
  stages += 1;
  const path = join(base.path, `${stages}.db`);
  let time = start;
  const now = (): Date => new Date(time);
  const open = async (create: boolean): Promise<Database> =>
    await openSqlite({ path, now, create, ...(write === undefined ? {} : { write }) });
  let database = await open(true);
  const elsewhere = await openElsewhere();
  const parts = (): TakeParts => ({
    state: database.state,
    custody,
    now,
    random,
    tenants: declare().tenants,
    dryRun: false,
  });
  const material = { kind: "offline", certificate: elsewhere.certificate } as const;
  await addRoot(order, by, parts(), { material, state: "active" });
  return {
    elsewhere,
    now,
    pass: (ms) => {
      time += ms;
    },
    database: () => database,
    parts,
    look: async (declared = declare()) => await makeAuthorities(declared, parts()),
    take: async (answer) => await takeAuthority(answer, by, parts()),
    waiting: async () => {
      const [request, ...rest] = await database.state.authorityRequests();
      assert.ok(request && rest.length === 0, "one waits");
      return request;
    },
    states: async () =>
      (await database.state.authorities())
        .filter(({ kind }) => kind === "tenant")
        .map(({ state }) => state)
        .join(" "),
    reopen: async () => {
      await database[Symbol.asyncDispose]();
      database = await open(false);
    },
    [Symbol.asyncDispose]: async () => await database[Symbol.asyncDispose](),
  };
}

test("an authority waits over a restart, is answered, signs, and has its successor asked for in time", async () => {
  await using stage = await openStage();
  await stage.look();
  const request = await stage.waiting();
  assert.equal(request.validityDays, 100);
  assert.equal(await stage.states(), "");
  await stage.reopen();
  await stage.look();
  assert.equal((await stage.waiting()).id, request.id, "it was asked for twice");
  const answer = await stage.elsewhere.answer(request, stage.now());
  const taken = await stage.take(answer);
  assert.deepEqual([taken.changed, taken.record.state, taken.record.id], [true, "prepared", request.id]);
  assert.deepEqual(await stage.database().state.authorityRequests(), []);
  await stage.look();
  assert.equal(await stage.states(), "active");
  assert.equal((await stage.take(answer)).changed, false);
  // Half of its life on.
  stage.pass(49 * day);
  await stage.look();
  assert.deepEqual(await stage.database().state.authorityRequests(), []);
  stage.pass(day);
  await stage.look();
  const next = await stage.waiting();
  assert.notEqual(next.id, request.id);
  // Whoever signs takes a week, and it is no reason to give it up.
  const late = await stage.elsewhere.answer(next, stage.now());
  stage.pass(7 * day);
  await stage.take(late);
  await stage.look();
  assert.equal(await stage.states(), "retiring active");
  await stage.reopen();
  for await (const report of stage.database().ledger.verify()) assert.deepEqual(report.faults, []);
});

test("a successor that was just signed waits, so that slow clocks take it", async () => {
  await using stage = await openStage();
  await stage.look();
  await stage.take(await stage.elsewhere.answer(await stage.waiting(), stage.now()));
  await stage.look();
  stage.pass(50 * day);
  await stage.look();
  const notBefore = stage.now();
  await stage.take(await stage.elsewhere.answer(await stage.waiting(), notBefore, { notBefore }));
  stage.pass(hour);
  await stage.look();
  assert.equal(await stage.states(), "active prepared");
  stage.pass(hour / 6);
  await stage.look();
  assert.equal(await stage.states(), "retiring active");
});

const stranger = await openElsewhere();
const hostile: readonly (readonly [
  rule: string,
  changes: (stage: Stage, request: AuthorityRequest) => Partial<Parameters<typeof createAuthority>[0]>,
  code: string,
  says: RegExp,
])[] = [
  [
    "is signed by another root",
    () => ({ signer: stranger.signer, parent: stranger.certificate }),
    "malformed",
    /under TrustRoot "main" .*another CA has issued it/,
  ],
  [
    "is for another key",
    () => ({ spki: keys("P-256").spki }),
    "not-found",
    /no authority waits for a certificate of this key/,
  ],
  ["may have authorities below it", () => ({ pathLength: 1 }), "malformed", /path length is not 0/],
  [
    "has another subject",
    () => ({ commonName: "Espalier authority of another" }),
    "malformed",
    /subject is not the one asked for/,
  ],
  [
    "lives longer than asked",
    ({ now }) => ({ notAfter: new Date(+now() + 103 * day) }),
    "malformed",
    /longer than the 100 days/,
  ],
  [
    "ends before its first renewal could",
    ({ now }) => ({ notAfter: new Date(+now() + day) }),
    "malformed",
    /at least twice as long/,
  ],
  [
    "has ended",
    ({ now }) => ({ notAfter: new Date(+now() - 1000), notBefore: new Date(+now() - day) }),
    "malformed",
    /it is valid from/,
  ],
  ["is not valid yet", ({ now }) => ({ notBefore: new Date(+now() + hour) }), "malformed", /it is valid from/],
  ["outlives the root", () => ({ notAfter: new Date(start + 3651 * day) }), "malformed", /outlives/],
];

for (const [rule, changes, code, says] of hostile) {
  test(`an answer that ${rule} is refused, and the request goes on waiting`, async () => {
    await using stage = await openStage();
    await stage.look();
    const request = await stage.waiting();
    const answer = await stage.elsewhere.answer(request, stage.now(), changes(stage, request));
    await assert.rejects(stage.take(answer), { code, message: says });
    assert.equal((await stage.waiting()).id, request.id);
    assert.equal(await stage.states(), "");
  });
}

test("an answer whose signature was changed, or that is rubbish, is refused", async () => {
  await using stage = await openStage();
  await stage.look();
  const answer = await stage.elsewhere.answer(await stage.waiting(), stage.now());
  const changed = Uint8Array.from(answer);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  await assert.rejects(stage.take(changed), { code: "malformed", message: /signature/ });
  await assert.rejects(stage.take(answer.subarray(1)), { code: "malformed" });
});

test("a request that was answered takes no other certificate", async () => {
  await using stage = await openStage();
  await stage.look();
  const request = await stage.waiting();
  await stage.take(await stage.elsewhere.answer(request, stage.now()));
  const second = await stage.elsewhere.answer(request, stage.now());
  await assert.rejects(stage.take(second), { code: "not-ready", message: /was answered by another certificate/ });
});

test("when another root takes over, its holder is asked, and the old authority signs until the answer is there", async () => {
  await using stage = await openStage();
  await stage.look();
  await stage.take(await stage.elsewhere.answer(await stage.waiting(), stage.now()));
  await stage.look();
  const next = await openElsewhere();
  const material = { kind: "offline", certificate: next.certificate } as const;
  const coming = await addRoot(order, by, stage.parts(), { material, state: "prepared" });
  await stage.look();
  assert.deepEqual(
    await stage.database().state.authorityRequests(),
    [],
    "a root that is prepared is asked for nothing",
  );
  const [leaving] = await stage.database().state.authorities();
  assert.ok(leaving);
  const turn = [
    { id: leaving.id, from: "active", to: "retiring" },
    { id: coming.id, from: "prepared", to: "active" },
  ] as const;
  await stage.database().state.setAuthorityStates(turn, { log: "@hub", verb: "test", details: {}, ...by });
  await stage.look();
  const request = await stage.waiting();
  assert.equal(request.root, coming.id);
  assert.equal(await stage.states(), "active");
  const old = await stage.elsewhere.answer(request, stage.now());
  await assert.rejects(stage.take(old), { code: "malformed", message: /another CA has issued it/ });
  await stage.take(await next.answer(request, stage.now()));
  stage.pass(hour / 6);
  await stage.look();
  assert.equal(await stage.states(), "retiring active");
});

test("a dry run writes nothing", async () => {
  await using stage = await openStage();
  await stage.look();
  const answer = await stage.elsewhere.answer(await stage.waiting(), stage.now());
  const taken = await takeAuthority(answer, by, { ...stage.parts(), dryRun: true });
  assert.equal(taken.changed, true);
  assert.equal(await stage.states(), "");
  await stage.waiting();
});

test("a request is withdrawn when its tenant wants another key or goes, and one of another root never answers it", async () => {
  await using stage = await openStage();
  await stage.look();
  const request = await stage.waiting();
  const answer = await stage.elsewhere.answer(request, stage.now());
  await stage.look(declare("authority: { algorithm: P-384, validityDays: 100 }"));
  const other = await stage.waiting();
  assert.deepEqual([other.algorithm, other.id === request.id], ["P-384", false]);
  await assert.rejects(stage.take(answer), { code: "not-found" });
  await stage.look(read(documents(root("main", "{ source: offline }"), cluster("east"))));
  assert.deepEqual(await stage.database().state.authorityRequests(), []);
});

for (const how of ["lost", "kept"] as const) {
  test(`every write of it can be ${how}: one waits, or one signs, and the next pass finishes`, async () => {
    // A request, its answer, the proof's intention and what it comes to.
    for (let failing = 1; failing <= 4; failing += 1) {
      let writes = -1;
      const write: Write = (name, commit) => {
        if (name === "state") writes += 1;
        const fails = name === "state" && writes === failing;
        if (!fails || how === "kept") commit();
        if (fails) throw new Error("the disk is away");
      };
      await using stage = await openStage(write);
      const lost = async (work: Promise<unknown>): Promise<boolean> =>
        await work.then(
          () => false,
          (error: { code?: string }) => error.code === "unavailable",
        );
      let failed = await lost(stage.look());
      await stage.reopen();
      await stage.look();
      const answer = await stage.elsewhere.answer(await stage.waiting(), stage.now());
      failed = (await lost(stage.take(answer))) || failed;
      await stage.reopen();
      await stage.take(answer);
      failed = (await lost(stage.look())) || failed;
      await stage.reopen();
      await stage.look();
      assert.equal(await stage.states(), "active", `${failing}`);
      assert.ok(failed, `write ${failing} did not fail`);
      for await (const report of stage.database().ledger.verify()) assert.deepEqual(report.faults, []);
    }
  });
}

test("without an answer certificates get shorter, down to half, and then there are none", async () => {
  await using stage = await openStage();
  await stage.look();
  await stage.take(await stage.elsewhere.answer(await stage.waiting(), stage.now()));
  await stage.look();
  const spki = keys("P-256").spki;
  const names = { uri: "spiffe://shop.example/ns/shop-a/sa/web", dns: [] };
  const asked = {
    log: "shop",
    cluster: "east",
    door: "istio",
    profile: "workload",
    rule: "",
    proof: "",
    names,
  } as const;
  const end = start + 99 * day;
  const lives = async (at: number): Promise<number> => {
    stage.pass(at - +stage.now());
    await stage.look();
    const { active } = await openAuthorities(await stage.database().state.authorities(), custody);
    const authority = active("tenant", "shop");
    assert.ok(authority);
    const draft = prepare({ ...asked, validitySeconds: 86_400, authority }, spki, stage.parts());
    return (+draft.notAfter - at) / 1000;
  };
  assert.equal(await lives(end - 2 * day), 86_400);
  assert.equal(await lives(end - day / 2), 43_200);
  await assert.rejects(lives(end - day / 2 + 1000), { code: "unavailable" });
  const [shop] = declare().tenants.values();
  assert.ok(shop);
  const [records, requests] = [
    await stage.database().state.authorities(),
    await stage.database().state.authorityRequests(),
  ];
  assert.equal(nextStep(shop, records, stage.now(), requests).kind, "waiting");
  // It came after all.
  await stage.take(await stage.elsewhere.answer(await stage.waiting(), stage.now()));
  assert.equal(await lives(+stage.now()), 86_400);
});

/** A CA of istiod's under that root, with its key; each time another certificate of it. */
function openFormer({ signer, certificate: parent }: Elsewhere) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const validity = { notBefore: new Date(start - 30 * day), notAfter: new Date(start + 300 * day) };
  return {
    key: privateKey.export({ type: "pkcs8", format: "der" }),
    certify: async (): Promise<Uint8Array> =>
      await createAuthority({
        signer,
        parent,
        serial: newSerial(random),
        pathLength: 0,
        spki,
        commonName: "istiod's",
        ...validity,
      }),
  };
}

test("another CA's authority is taken in with its key, and signs; not with another's key, nor of another algorithm", async () => {
  await using stage = await openStage();
  const [shop] = declare().tenants.values();
  assert.ok(shop);
  const { key, certify } = openFormer(stage.elsewhere);
  const certificate = await certify();
  const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "der" });
  const take = async (former: object): Promise<unknown> =>
    await importAuthority({ tenant: shop, certificate, key, ...former }, by, stage.parts());
  await assert.rejects(take({ key: other }), { code: "malformed", message: /the key is not the certificate's/ });
  const rsa = { ...shop, authority: { ...shop.authority, algorithm: "RSA-2048" } };
  await assert.rejects(take({ tenant: rsa }), {
    code: "not-ready",
    message: /set its spec.authority.algorithm to P-256/,
  });
  const forged = withHalfOf(other, key);
  await assert.rejects(take({ key: forged }), { code: "malformed", message: /the key does not sign/ });
  await take({});
  await take({});
  await stage.look();
  assert.equal(await stage.states(), "active");
});

test("a key signs for one tenant alone, and not again once its authority was revoked", async () => {
  await using stage = await openStage();
  const [shop] = declare().tenants.values();
  assert.ok(shop);
  const { key, certify } = openFormer(stage.elsewhere);
  const first = await certify();
  const take = async (certificate: Uint8Array, name = "shop"): Promise<unknown> =>
    await importAuthority({ tenant: { ...shop, name }, certificate, key }, by, stage.parts());
  await take(first);
  const taken = {
    code: "not-ready",
    message: /its key is that of tenant "shop" \(tenant-shop-\w+, prepared\) already/,
  };
  await assert.rejects(take(first, "bank"), taken);
  await assert.rejects(take(await certify(), "bank"), taken);
  const { state } = stage.database();
  const [record] = (await state.authorities()).filter(({ kind }) => kind === "tenant");
  assert.ok(record?.parent !== undefined);
  const { id, parent, notAfter } = record;
  const serial = newSerial(random);
  const revoked = { serial, log: "shop", authority: parent, notAfter, reason: "cACompromise" } as const;
  await state.revokeAuthority(id, revoked, { log: "shop", verb: "revoke-authority", ...by, details: { id } });
  for (const certificate of [first, await certify()])
    await assert.rejects(take(certificate), { code: "not-ready", message: /, revoked\) already/ });
});

/** One key's private half with another's public half, as PKCS #8 can hold them (RFC 5915). */
function withHalfOf(own: Buffer, other: Buffer): Buffer {
  const pointBytes = 65;
  return Buffer.concat([own.subarray(0, -pointBytes), other.subarray(-pointBytes)]);
}
