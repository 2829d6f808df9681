/** Drives the issuer alone: an agent's certificate by Join, then the Sign stream, spoken as an agent's lane speaks it. */
import { join } from "../../src/agent/join.ts";
import { readPemAll } from "../../src/pki/pem.ts";
import { openIssuer, openSignStream } from "../../src/rpc/client.ts";
import type { SignReplies__Output } from "../../src/rpc/gen/espalier/v1/SignReplies.ts";
import { type Answer, checkAnswers } from "./check.ts";
import { type Order, serveDriver } from "./driver.ts";
import { hub, type MeshPlan } from "./mesh.ts";
import { openWork, type Work } from "./work.ts";

/** As many as an agent has on one stream. */
const batchesInFlight = 4;

const plan: MeshPlan = JSON.parse(process.argv.at(-1) ?? "");
const tls = { rootsPem: plan.hubRootPem, serverName: `issuer.${hub}` };
const identity = await join(
  { hub, cluster: plan.cluster, issuers: [plan.issuerAddress], tokenFile: plan.agentTokenFile },
  { tls, hubRoots: readPemAll(plan.hubRootPem), jwks: () => "", now: () => new Date() },
);
const stream = openSignStream(openIssuer(plan.issuerAddress, { ...tls, identity }));
const makeWork = openWork(plan);

let work: readonly Work[] = [];
let answers: Answer[] = [];
let batch = 1;
let take: (replies: SignReplies__Output) => void = () => {};
stream.onMessage((replies) => take(replies));
stream.onEnd(() => process.exit(1));

/** Each item's id is its place in `work`. */
function sign(): Promise<readonly number[]> {
  const sentAt = new Float64Array(work.length);
  const latencies: number[] = [];
  let next = 0;
  const send = (): void => {
    const items = work.slice(next, next + batch).map(({ csr, token }, n) => {
      sentAt[next + n] = performance.now();
      return { id: next + n, csr, token, validitySeconds: 3600, deadlineMs: 20_000 };
    });
    next += items.length;
    if (items.length > 0) stream.write({ items });
  };
  return new Promise((resolve, reject) => {
    answers = [];
    let owed = 0;
    take = ({ replies, chains }) => {
      const now = performance.now();
      for (const { id, issued, refused } of replies) {
        const [asked, chain] = [work[id], chains[issued?.chain ?? -1]];
        const authority = chain?.intermediates[0];
        if (!issued || asked === undefined || authority === undefined)
          return reject(new Error(`item ${id} was refused: ${refused?.code} ${refused?.message}`));
        answers.push({ work: asked, leaf: issued.leaf, authority });
        latencies.push(now - (sentAt[id] ?? 0));
      }
      // A batch's answers need not come in one message.
      for (owed += replies.length; owed >= batch; owed -= batch) send();
      if (answers.length === work.length) resolve(latencies);
    };
    for (let n = 0; n < batchesInFlight; n++) send();
  });
}

serveDriver({
  prepare: async (order: Order) => {
    batch = order.batch;
    work = await makeWork(order.count);
  },
  run: async () => ({ latenciesMs: await sign() }),
  check: () => checkAnswers(answers, work.length),
});
