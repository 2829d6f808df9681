/**
 * The sequencer where several replicas could be one. Who leads says so every few seconds, by the database's clock; when nobody
 * has for a while, the next one takes a newer epoch. Every write holds the epoch, so who has lost it can place and sign nothing,
 * whatever it believes. No intent ever waits for any of this.
 */
import type { Signer } from "../custody/signer.ts";
import { Refusal } from "../errors.ts";
import { encodeHead, isSameLogs, isSignedBy, type LogHead, readHead } from "./head.ts";
import { toKey } from "./key.ts";
import { emptyTree, encodeFrontier, grow, readTree, rootOf, type Tree } from "./merkle.ts";
import { sameBytes } from "./octets.ts";
import { startPasses } from "./passes.ts";
import type { Pool, Transaction } from "./postgres-pool.ts";
import { blob, integer, type Row, text } from "./rows.ts";
import type { Sequencer, SequencerOptions } from "./sequencer.ts";

/** A leader that has not been heard of for this long can be followed by another. */
export const silenceMsMax = 10_000;
/** How often one says that it leads when it writes nothing else. */
const heartbeatMs = 3000;
/** Entries placed in one transaction; nobody waits for it. */
const entriesPerWriteMax = 1000;

export async function startPostgresSequencer(
  pool: Pool,
  now: () => Date,
  signer: Signer,
  holder: string,
  options: SequencerOptions = {},
  silenceMs = silenceMsMax,
): Promise<Sequencer> {
  await bindKey(pool, signer);
  let epoch = 0;
  let heardAt = Number.NEGATIVE_INFINITY;

  /** False while another leads. */
  async function lead(): Promise<boolean> {
    if (epoch === 0) epoch = await takeEpoch(pool, holder, silenceMs);
    else if (performance.now() - heardAt < heartbeatMs) return true;
    else await held(pool.transact("epoch", (transaction) => holdEpoch(transaction, epoch)));
    heardAt = performance.now();
    return epoch !== 0;
  }

  /** Who is told that its epoch has ended leads no more. */
  async function held<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Refusal && error.code === "not-ready") epoch = 0;
      throw error;
    }
  }

  async function pass(headDue: boolean): Promise<void> {
    if (!(await lead())) return;
    while ((await held(place(pool, epoch))) === entriesPerWriteMax) heardAt = performance.now();
    if (headDue) await held(writeHead(pool, epoch, signer, now));
  }

  await lead();
  const passes = startPasses(pass, options, false);
  return {
    get epoch() {
      return epoch;
    },
    async sequence() {
      await passes.run();
      if (epoch === 0) throw new Refusal("not-ready", "another issuer puts the ledger's entries in order");
    },
    async [Symbol.asyncDispose]() {
      await passes[Symbol.asyncDispose]();
      // If we stop before this, the next leader waits as long as for one that was killed.
      if (epoch !== 0) await pool.transact("epoch", (transaction) => resign(transaction, epoch)).catch(() => undefined);
    },
  };
}

/** Writes the key down the first time. @throws Refusal `config` when the ledger has another. */
async function bindKey(pool: Pool, signer: Signer): Promise<void> {
  // If we stop before this commits, no head was signed yet. Of two who start at once, the first to write decides.
  const [row] = await pool.transact("epoch", async (transaction) => {
    const values = [signer.algorithm, signer.spki] as const;
    const sql = "INSERT INTO ledger_key (id, algorithm, spki) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
    await transaction.query(sql, ...values);
    return await transaction.query("SELECT algorithm, spki FROM ledger_key");
  });
  const bound = row === undefined ? undefined : toKey(row);
  if (bound?.algorithm !== signer.algorithm || !sameBytes(bound.spki, signer.spki)) {
    throw new Refusal("config", "the key that is to sign the ledger's heads is not the one that did so before");
  }
}

/** The newer epoch, or 0 while the one who has it is heard of. */
async function takeEpoch(pool: Pool, holder: string, silenceMs: number): Promise<number> {
  const [last] = await pool.query(`SELECT 1 AS silent FROM epochs WHERE ${silent("$1")}`, silenceMs);
  if (last === undefined) return 0;
  // If we stop before this commits, the leader stays who it was; after it, it can write no more and nobody else has begun.
  const [row] = await pool.transact("epoch", (transaction) =>
    transaction.query(
      `UPDATE epochs SET epoch = epoch + 1, holder = $1, seen_at = clock_timestamp() WHERE ${silent("$2")} RETURNING epoch`,
      holder,
      silenceMs,
    ),
  );
  return row === undefined ? 0 : integer(row, "epoch");
}

function silent(milliseconds: string): string {
  return `seen_at < clock_timestamp() - ${milliseconds} * interval '1 ms'`;
}

/** Inside the write it guards; whoever wants the epoch waits for that. @throws Refusal `not-ready` when it is another's. */
async function holdEpoch(transaction: Transaction, epoch: number): Promise<void> {
  const sql = "UPDATE epochs SET seen_at = clock_timestamp() WHERE epoch = $1 RETURNING epoch";
  if ((await transaction.query(sql, epoch)).length > 0) return;
  const [row] = await transaction.query("SELECT epoch FROM epochs");
  const newest = row === undefined ? "none" : integer(row, "epoch");
  throw new Refusal("not-ready", `epoch ${epoch} of the ledger has ended: it is ${newest} now`);
}

async function resign(transaction: Transaction, epoch: number): Promise<void> {
  await transaction.query("UPDATE epochs SET seen_at = '-infinity' WHERE epoch = $1", epoch);
}

/** Returns how many entries it placed. */
async function place(pool: Pool, epoch: number): Promise<number> {
  const [any] = await pool.query("SELECT entry FROM unplaced LIMIT 1");
  if (any === undefined) return 0;
  // If we stop before this commits, the entries have no position yet and get one next time. Positions and the tree over them
  // are one write, so no tree ever counts a leaf that has no place.
  return await pool.transact("place", async (transaction) => {
    await holdEpoch(transaction, epoch);
    const rows = await transaction.query(
      `SELECT e.id, e.log, e.leaf_hash FROM unplaced u JOIN entries e ON e.id = u.entry
       ORDER BY u.entry LIMIT ${entriesPerWriteMax}`,
    );
    const logs = [...new Set(rows.map((row) => text(row, "log")))];
    const trees = await readTrees(transaction, logs);
    const positions = rows.map((row) => {
      const tree = trees.get(text(row, "log")) ?? emptyTree;
      trees.set(text(row, "log"), grow(tree, blob(row, "leaf_hash")));
      return tree.size;
    });
    await writePlaces(transaction, rows, positions);
    await writeTrees(transaction, trees);
    return rows.length;
  });
}

async function readTrees(transaction: Transaction, logs: readonly string[]): Promise<Map<string, Tree>> {
  const rows = await transaction.query("SELECT log, size, frontier FROM trees WHERE log = ANY($1)", logs);
  return new Map(rows.map((row) => [text(row, "log"), readTree(integer(row, "size"), blob(row, "frontier"))]));
}

async function writePlaces(
  transaction: Transaction,
  rows: readonly Row[],
  positions: readonly number[],
): Promise<void> {
  await transaction.query(
    `WITH placed AS (DELETE FROM unplaced WHERE entry = ANY($1::bigint[]))
     INSERT INTO leaves (entry, log, position) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])`,
    rows.map((row) => integer(row, "id")),
    rows.map((row) => text(row, "log")),
    positions,
  );
}

async function writeTrees(transaction: Transaction, trees: ReadonlyMap<string, Tree>): Promise<void> {
  const all = [...trees];
  await transaction.query(
    `INSERT INTO trees (log, size, root, frontier) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[])
     ON CONFLICT (log) DO UPDATE SET size = excluded.size, root = excluded.root, frontier = excluded.frontier`,
    all.map(([log]) => log),
    all.map(([, tree]) => tree.size),
    all.map(([, tree]) => rootOf(tree)),
    all.map(([, tree]) => encodeFrontier(tree)),
  );
}

/** Signs the list of all heads, unless the newest list says the same. */
async function writeHead(pool: Pool, epoch: number, signer: Signer, now: () => Date): Promise<void> {
  const rows = await pool.query("SELECT log, size, root FROM trees");
  const [last] = await pool.query("SELECT body FROM heads ORDER BY id DESC LIMIT 1");
  const logs = new Map<string, LogHead>(
    rows.map((row) => [text(row, "log"), { size: integer(row, "size"), root: blob(row, "root") }]),
  );
  if (last === undefined ? logs.size === 0 : isSameLogs(readHead(blob(last, "body")).logs, logs)) return;
  const body = encodeHead({ epoch, time: now(), logs });
  const signature = await signer.sign(body);
  if (!isSignedBy(signer, body, signature)) throw new Error("the ledger's key made a signature that does not verify");
  // If we stop before this commits, the trees are ahead of their newest signed list; the next pass signs one.
  await pool.transact("head", async (transaction) => {
    await holdEpoch(transaction, epoch);
    await transaction.query(
      "INSERT INTO heads (id, body, signature) SELECT coalesce(max(id), 0) + 1, $1::bytea, $2::bytea FROM heads",
      body,
      signature,
    );
  });
}
