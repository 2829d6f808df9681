/**
 * A hundred rotations, with Go's crypto/tls on both sides of every handshake at the simulated time:
 * `npm run simulate:rotations [-- ROTATIONS [SEED]]`.
 */
import { certificateLabel, toPem } from "../../src/pki/pem.ts";
import { temporaryDirectory } from "../contract/directory.ts";
import { type Speaker, startShaking } from "./shaking.ts";
import { type Holder, type Judge, simulate } from "./simulation.ts";

const [rotations = "100", seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
using directory = temporaryDirectory();
await using shaking = startShaking(directory.path);
let shaken = 0;

const judge: Judge = async (at, pairs) => {
  if (pairs.length === 0) return [];
  const holders = [...new Set(pairs.flat())];
  const indices = pairs.map(([server, client]) => [holders.indexOf(server), holders.indexOf(client)] as const);
  const { handshakes, failures } = await shaking.shake(at, holders.map(toSpeaker), indices);
  shaken += handshakes;
  return failures;
};

function toSpeaker({ name, leaf, intermediates, keyPem, roots }: Holder): Speaker {
  const pem = (all: readonly Uint8Array[]): string => all.map((der) => toPem(certificateLabel, der)).join("");
  return { name, chain: pem([leaf, ...intermediates]), key: keyPem, roots: pem(roots) };
}

const begun = performance.now();
console.log(`simulate: ${rotations} rotations, seed ${seed}`);
const report = await simulate({
  directory: directory.path,
  rotations: Number(rotations),
  seed: Number(seed),
  judge,
  told: (line) => console.log(`simulate: ${line}`),
});
const { failures, ...figures } = report;
const seconds = Math.round((performance.now() - begun) / 1000);
console.log(JSON.stringify({ ...figures, shaken, failed: failures.length, seconds }));
for (const failure of failures.slice(0, 20)) console.error(failure);
// Of every third rotation the clock jumps, and every fourth is given up first: of many some, or it was not that which was run.
const many = Number(rotations) >= 4;
const whole = !many || (report.jumps > 0 && report.rolledBack > 0);
process.exitCode = failures.length === 0 && shaken === report.handshakes && whole ? 0 : 1;
