/**
 * The hub root rotated in real time between processes, with workloads that ask all the while as Istio's agents do: two issuers on one
 * PostgreSQL, and two agents of two clusters of which one is cut off for half a minute: `npm run soak:hub-rotation`, three minutes.
 * What was given under the old root is revoked once everybody has moved: waiting for its end would take a day.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import type { Rotation__Output } from "../../src/rpc/gen/espalier/v1/Rotation.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { type Member, startMember } from "../soak/member.ts";
import { groundHub, groundServingName, layGround } from "../support/ground.ts";
import { createTokenIssuer } from "../support/kubernetes.ts";
import { type Load, startLoad } from "../support/load.ts";
import { startPostgres } from "../support/postgres.ts";
import { freePort } from "../support/processes.ts";
import { openRandom } from "../support/random.ts";
import { type Relay, startRelay } from "../support/relay.ts";

const settleSeconds = 60;
const cutMs = 30_000;
const askMs = 100;
const servingNames = { east: groundServingName, west: "west.example" } as const;
const phaseMsMax = 300_000;
/** Calls after everything is over. */
const calmMs = 15_000;

const begun = performance.now();
const tell = (line: string): void => console.log(`hub: ${Math.round((performance.now() - begun) / 1000)} s  ${line}`);

using directory = temporaryDirectory();
await using stack = new AsyncDisposableStack();
const postgres = stack.use(await startPostgres());
const { database } = await postgres.database();
const ground = await layGround({ directory: directory.path, port: postgres.port, database, synchronousStandby: false });
mkdirSync(ground.at("logs"));
const members = new Map<string, Member>();
const start = async (name: string, verb: readonly string[], event: string): Promise<void> => {
  const member = stack.use(startMember(name, verb, ground.at("logs", `${name}.log`)));
  members.set(name, member);
  await member.event(event);
};

const issuers = ["first", "second"] as const;
const ports = [await freePort(), await freePort()];
const files: string[] = [];
for (const [n, name] of issuers.entries()) {
  const file = await ground.issuer(name, ports[n] ?? 0);
  appendFileSync(file, `rotation: { settleSeconds: ${settleSeconds} }\n`);
  files.push(file);
}
await ground.init(issuers[0]);
const west = createTokenIssuer("https://west.example", generateKeyPairSync("ec", { namedCurve: "P-256" }));
layWest();
for (const [n, name] of issuers.entries()) {
  await start(name, ["issuer", "run", "--config", files[n] ?? ""], "issuer ready");
  if (n > 0) continue;
  await ground.createRoots(name);
  await ground.say(name, "root", "create", "--serving", "west");
}
const relays: Relay[] = [];
for (const port of ports) relays.push(stack.use(await startRelay(port)));
const doors = { east: await freePort(), west: await freePort() };
await start("east", ["agent", "run", "--config", await ground.agent("east", doors.east, ports)], "serving workloads");
await start("west", ["agent", "run", "--config", await westAgent()], "serving workloads");

/** A second cluster beside the ground's own, with the same tenant. */
function layWest(): void {
  const mesh = ground.at("hub", "resources", "mesh.yaml");
  const documents = readFileSync(mesh, "utf8").replace(
    "clusters: [east], namespaces: [shop]",
    "clusters: [east, west], namespaces: [shop]",
  );
  const cluster = documents
    .slice(documents.lastIndexOf("---"))
    .replaceAll("east", "west")
    .replace(groundServingName, servingNames.west);
  writeFileSync(mesh, `${documents}${cluster}`);
  const jwks = JSON.stringify(west.jwks);
  for (const file of [ground.at("west.json"), ground.at("hub", "resources", "west.json")]) writeFileSync(file, jwks);
  const account = { namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${groundHub}` };
  writeFileSync(ground.at("west.token"), west.token(account));
}

/** The ground's agent with its cluster changed; what asks of it says "east" as everybody here does. */
async function westAgent(): Promise<string> {
  const file = await ground.agent(
    "west",
    doors.west,
    relays.map(({ port }) => port),
    "aliases: [east]\n",
  );
  const config = readFileSync(file, "utf8")
    .replace("cluster: east", "cluster: west")
    .replace("agent.token", "west.token")
    .replace("https://east.example", "https://west.example")
    .replace("east.json", "west.json");
  writeFileSync(file, config);
  return file;
}

const say = async (...verb: readonly string[]): Promise<string> => (await ground.say(issuers[0], ...verb)).stdout;

async function startAsking(cluster: keyof typeof doors): Promise<{ readonly load: Load; stop(): Promise<void> }> {
  const token =
    cluster === "east"
      ? ground.token
      : (serviceAccount: string): string => west.token({ namespace: "shop", serviceAccount });
  const servingRootPem = await say("root", "show", cluster, "--serving");
  const load = startLoad({
    address: `${groundServingName}:${doors[cluster]}`,
    servingRootPem,
    servingName: servingNames[cluster],
    token,
    random: openRandom(1),
  });
  const stopping = new AbortController();
  const asked: Promise<void>[] = [];
  const ask = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      asked.push(load.call());
      await delay(askMs);
    }
  };
  const asking = ask();
  return {
    load,
    stop: async () => {
      stopping.abort();
      await asking;
      await Promise.all(asked);
      load.close();
    },
  };
}

let said = "";
async function show(): Promise<Rotation__Output> {
  const [rotation]: readonly Rotation__Output[] = JSON.parse(await say("root", "status", "--hub", "-o", "json"));
  assert.ok(rotation);
  const { phase, waitingFor } = rotation;
  const line = `${phase}, waits for ${waitingFor.map(({ kind, name }) => `${kind} ${name}`).join(", ") || "nothing"}`;
  if (line !== said) tell(line);
  said = line;
  return rotation;
}

async function until(holds: (rotation: Rotation__Output) => boolean): Promise<Rotation__Output> {
  const end = performance.now() + phaseMsMax;
  for (;;) {
    const rotation = await show();
    if (holds(rotation)) return rotation;
    assert.ok(performance.now() < end, `it stays so: ${said}`);
    await delay(2_000);
  }
}

/** Whether an issuer serves under this root. */
async function servesUnder(port: number, rootPem: string): Promise<boolean> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    ca: rootPem,
    servername: `issuer.${groundHub}`,
    ALPNProtocols: ["h2"],
  });
  const serves = await once(socket, "secureConnect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return serves;
}

async function serialsUnder(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const cluster of Object.keys(doors)) {
    const identity = `spiffe://${groundHub}/cluster/${cluster}`;
    const listed: readonly { readonly body: { readonly authority: string; readonly serial: string } }[] = JSON.parse(
      await say("ledger", "list", "--log", "@hub", "--identity", identity, "-o", "json"),
    );
    const newest = listed[0]?.body;
    if (newest === undefined || newest.authority === root) return [];
    found.push(...listed.flatMap(({ body }) => (body.authority === root ? [body.serial] : [])));
  }
  return found;
}

const east = await startAsking("east");
await delay(3_000);
for (const relay of relays) relay.to(1);
tell("west is cut off");
await say("root", "rotate", "--hub", "--reason", "a rehearsal");
const cutUntil = performance.now() + cutMs;
await until(({ phase, waitingFor }) => {
  assert.equal(phase, "prepared");
  return waitingFor.some(({ name }) => name.startsWith("agent:west")) && performance.now() > cutUntil;
});
for (const [n, relay] of relays.entries()) relay.to(ports[n] ?? 0);
tell("west is healed");
const { coming, leaving } = await until(({ waitingFor }) => waitingFor.every(({ kind }) => kind === "settle"));
const fromWest = await startAsking("west");
await until(({ phase }) => phase === "active");
members.get("second")?.kill();
tell("an issuer is killed");
const pem = await say("root", "show", groundHub);
const newPem =
  pem
    .match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g)
    ?.find((one) => !readFileSync(ground.at("hub", "hub-root.pem"), "utf8").includes(one)) ?? "";
const movedBy = performance.now() + phaseMsMax;
for (const port of ports)
  while (!(await servesUnder(port, newPem))) {
    assert.ok(performance.now() < movedBy, "an issuer does not serve under the new root");
    await delay(1_000);
  }
tell("both issuers serve under the new root");
let serials = await serialsUnder(leaving?.id ?? "");
for (; serials.length === 0; serials = await serialsUnder(leaving?.id ?? "")) await delay(1_000);
await say("revoke", "serial", ...serials, "--reason", "both agents have others");
await say("root", "continue", "--hub", "--acknowledge", "issuer", "--reason", "looked at");
await until(({ phase }) => phase === "none");
await fromWest.stop();
const served = (): number => readFileSync(ground.at("logs", "west.log"), "utf8").split("serving workloads").length;
const before = served();
members.get("west")?.kill();
tell("west is killed, and comes back with the old root in its configuration");
while (served() === before) await delay(500);
const afterwards = await startAsking("west");
await delay(calmMs);
for (const asking of [east, afterwards]) await asking.stop();

const calls = [east, fromWest, afterwards].flatMap(({ load }) => load.calls);
const failed = calls.filter(({ held }) => held === undefined);
const attempts = calls.flatMap((call) => call.attempts);
console.log(
  JSON.stringify({
    seconds: Math.round((performance.now() - begun) / 1000),
    calls: calls.length,
    attempts: attempts.length,
    attemptsFailed: attempts.filter(({ status }) => status !== "OK").length,
    failed: failed.length,
    coming: coming?.id,
  }),
);
for (const { attempts } of failed.slice(0, 10)) console.error(JSON.stringify(attempts.at(-1)));
for (const { endings } of members.values()) for (const ending of endings) console.error(ending);
process.exitCode = failed.length === 0 ? 0 : 1;
