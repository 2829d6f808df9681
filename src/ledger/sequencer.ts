/**
 * The sequencer gives entries their positions, grows each log's tree and signs the list of all heads. It works behind
 * issuance, in short transactions, and every one of them holds the fencing epoch it was started under.
 */
import { setImmediate } from "node:timers/promises";
import type { Signer } from "../custody/signer.ts";
import type { Connection } from "./connection.ts";
import { holdEpoch, takeEpoch } from "./epoch.ts";
import { encodeHead, isSameLogs, isSignedBy, readHead } from "./head.ts";
import { bindKey } from "./key.ts";
import { emptyTree, encodeFrontier, grow, readTree, rootOf, type Tree } from "./merkle.ts";
import { startPasses } from "./passes.ts";
import { blob, integer, type Row, text } from "./rows.ts";

export interface SequencerOptions {
  /** How often new entries are looked for. Default 1000. */
  readonly intervalMs?: number;
  /** A list of heads holds every log, so it is written at most this often, and at the end. Default 60,000. */
  readonly headIntervalMs?: number;
  /** Told of every pass that failed; the next one tries again, but for a fenced sequencer, which stops. */
  readonly onFault?: (error: unknown) => void;
}

export interface Sequencer extends AsyncDisposable {
  /** The one it places under; 0 while another replica leads. */
  readonly epoch: number;
  /** Places all there is and signs a head if anything is new. @throws Refusal `not-ready` when fenced. */
  sequence(): Promise<void>;
}

/** Entries placed in one transaction: two milliseconds or so, in which no draft can be written. */
const entriesPerWriteMax = 250;

export async function startSequencer(
  connection: Connection,
  now: () => Date,
  signer: Signer,
  options: SequencerOptions = {},
): Promise<Sequencer> {
  bindKey(connection, signer);
  const epoch = takeEpoch(connection);
  const place = preparePlace(connection, epoch);
  const writeHead = prepareHead(connection, epoch, signer, now);

  async function pass(headDue: boolean): Promise<void> {
    while (place() === entriesPerWriteMax) await setImmediate();
    if (headDue) await writeHead();
  }

  const passes = startPasses(pass, options, true);
  return { epoch, sequence: () => passes.run(), [Symbol.asyncDispose]: () => passes[Symbol.asyncDispose]() };
}

/** Returns how many entries one call placed. */
function preparePlace(connection: Connection, epoch: number): () => number {
  const unplaced = connection.prepare(
    `SELECT id, log, leaf_hash FROM entries WHERE id > (SELECT coalesce(max(entry), 0) FROM leaves)
     ORDER BY id LIMIT ${entriesPerWriteMax}`,
  );
  const treeOf = connection.prepare("SELECT size, frontier FROM trees WHERE log = ?");
  const insertRun = connection.prepare(
    "INSERT INTO leaves (entry, log, position) SELECT id, log, id - ? FROM entries WHERE id BETWEEN ? AND ?",
  );
  const setTree = connection.prepare(
    `INSERT INTO trees (log, size, root, frontier) VALUES (?, ?, ?, ?)
     ON CONFLICT (log) DO UPDATE SET size = excluded.size, root = excluded.root, frontier = excluded.frontier`,
  );

  function openTree(log: string): Tree {
    const row = treeOf.get(log);
    return row === undefined ? emptyTree : readTree(integer(row, "size"), blob(row, "frontier"));
  }

  return () => {
    if (unplaced.get() === undefined) return 0;
    // If we stop before this commits, the entries have no position yet and get the same ones next time. Positions and
    // the tree over them are one write, so no tree ever counts a leaf that has no place; a head makes durable what is before it.
    return connection.stage("place", () => {
      holdEpoch(connection, epoch);
      const rows = unplaced.all();
      const trees = new Map<string, Tree>();
      for (const { log, first, hashes } of toRuns(rows)) {
        const tree = trees.get(log) ?? openTree(log);
        insertRun.run(first - tree.size, first, first + hashes.length - 1);
        trees.set(log, grow(tree, ...hashes));
      }
      for (const [log, tree] of trees) setTree.run(log, tree.size, rootOf(tree), encodeFrontier(tree));
      return rows.length;
    });
  };
}

/** Entries of one log whose ids follow each other, and so do their positions. */
interface Run {
  readonly log: string;
  readonly first: number;
  readonly hashes: Uint8Array[];
}

function toRuns(rows: readonly Row[]): readonly Run[] {
  const runs: Run[] = [];
  for (const row of rows) {
    const [log, id, hash] = [text(row, "log"), integer(row, "id"), blob(row, "leaf_hash")];
    const last = runs.at(-1);
    if (last?.log === log && last.first + last.hashes.length === id) last.hashes.push(hash);
    else runs.push({ log, first: id, hashes: [hash] });
  }
  return runs;
}

/** Signs the list of all heads, unless the newest list says the same. */
function prepareHead(connection: Connection, epoch: number, signer: Signer, now: () => Date): () => Promise<void> {
  const trees = connection.prepare("SELECT log, size, root FROM trees");
  const newest = connection.prepare("SELECT body FROM heads ORDER BY id DESC LIMIT 1");
  const insert = connection.prepare("INSERT INTO heads (body, signature) VALUES (?, ?)");

  return async () => {
    const logs = new Map(
      trees.all().map((row) => [text(row, "log"), { size: integer(row, "size"), root: blob(row, "root") }]),
    );
    const last = newest.get();
    if (last === undefined ? logs.size === 0 : isSameLogs(readHead(blob(last, "body")).logs, logs)) return;
    const body = encodeHead({ epoch, time: now(), logs });
    const signature = await signer.sign(body);
    if (!isSignedBy(signer, body, signature)) throw new Error("the ledger's key made a signature that does not verify");
    // If we stop before this commits, the trees are ahead of their newest signed list; the next pass signs one.
    connection.transact("head", () => {
      holdEpoch(connection, epoch);
      insert.run(body, signature);
    });
  };
}
