/** A rotation, held and rolled back too, whose issuer is killed around each of its writes, and started again each time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openSqlite } from "../../src/ledger/sqlite.ts";
import { call, openAdmin } from "../../src/rpc/client.ts";
import type { AdminClient } from "../../src/rpc/gen/espalier/v1/Admin.ts";
import { clusterDocument, document } from "../support/documents.ts";
import { makeSite, type Site } from "../support/site.ts";
import { moments, spawnIssuer } from "../support/spawn-issuer.ts";

interface Step {
  /** The acts of its writes, in their order. Whoever is killed between them begins the step anew. */
  readonly writes: readonly string[];
  /** Where an operator takes it; the issuer that leads takes the others, and looks for them often only then. */
  readonly verb?: (admin: AdminClient) => Promise<unknown>;
  /** How far the clock is ahead by then, in seconds. */
  readonly aheadSeconds?: number;
  /** As a step before it: killed once, when it is taken. */
  readonly again?: true;
  /** States of roots and of the tenant's authorities, oldest first, once it is taken. */
  readonly leaves: string;
}

const act = { operator: "test", reason: "a test" };
const target = { act, trustRoot: "main" };
const verbMs = 20_000;
/** An authority signs ten minutes after it was prepared. */
const aheadSeconds = 601;

const rotate = async (admin: AdminClient): Promise<unknown> =>
  await call<object, unknown>(admin.rotateRoot.bind(admin), target, verbMs);
const rollBack = async (admin: AdminClient): Promise<unknown> =>
  await call<object, unknown>(admin.rollBackRotation.bind(admin), target, verbMs);

/** Given up while the new root signs nothing; and, of another one, when it has signed. */
const steps: readonly Step[] = [
  { writes: ["intend-create-workload-root", "create-workload-root"], verb: rotate, leaves: "active prepared; active" },
  {
    writes: ["hold-rotation"],
    verb: async (admin) => await call<object, unknown>(admin.holdRotation.bind(admin), target, verbMs),
    leaves: "active prepared; active",
  },
  { writes: ["roll-back-root"], verb: rollBack, leaves: "active retired; active" },
  {
    writes: ["intend-create-workload-root", "create-workload-root"],
    verb: rotate,
    again: true,
    leaves: "active retired prepared; active",
  },
  {
    writes: ["continue-rotation"],
    verb: async (admin) => {
      const request = { ...target, acknowledge: ["agent:east"] };
      return await call<object, unknown>(admin.continueRotation.bind(admin), request, verbMs);
    },
    leaves: "active retired prepared; active",
  },
  { writes: ["activate-root"], leaves: "retiring retired active; active" },
  { writes: ["intend-prepare-authority", "prepare-authority"], leaves: "retiring retired active; active prepared" },
  {
    writes: ["intend-activate-authority", "activate-authority"],
    aheadSeconds,
    leaves: "retiring retired active; retiring active",
  },
  { writes: ["roll-back-root"], verb: rollBack, leaves: "active retired retiring; retiring active" },
  {
    writes: ["intend-prepare-authority", "prepare-authority"],
    again: true,
    leaves: "active retired retiring; retiring active prepared",
  },
  {
    writes: ["intend-activate-authority", "activate-authority"],
    aheadSeconds,
    again: true,
    leaves: "active retired retiring; retiring retiring active",
  },
  { writes: ["retire-root"], aheadSeconds, leaves: "active retired retired; retiring retired active" },
];

interface Seen {
  readonly states: string;
  readonly newestAct: string;
}

async function look({ databasePath }: Site): Promise<Seen> {
  await using database = await openSqlite({ path: databasePath, now: () => new Date(), create: false });
  const records = await database.state.authorities();
  const of = (kind: string): string =>
    records
      .filter((record) => record.kind === kind)
      .map((record) => record.state)
      .join(" ");
  for await (const { kind, body } of database.ledger.entries({ limit: 20 }))
    if (kind === "act")
      return { states: `${of("root")}; ${of("tenant")}`, newestAct: JSON.parse(Buffer.from(body).toString()).verb };
  throw new Error("the ledger has no act");
}

test("an issuer killed before or after any write of a rotation leaves the one state or the next, and whoever starts goes on", async () => {
  const rules = [{ name: "pods", clusters: ["east"], namespaces: ["pay-*"] }];
  using site = await makeSite({
    documents: [
      document("TrustRoot", "main", {}),
      document("MeshTenant", "payments", { trustDomain: "payments.example", root: "main", rules }),
      clusterDocument("east"),
    ],
    serving: [],
  });
  let before = await look(site);
  for (const { writes, verb, aheadSeconds = verb === undefined ? 0 : undefined, again, leaves } of steps) {
    for (const [index, write] of writes.entries()) {
      const isLast = index === writes.length - 1;
      for (const moment of moments) {
        if (again && !(isLast && moment === "after")) continue;
        const nth = String(index + 1);
        const { dead, process, port } = await spawnIssuer(site, "127.0.0.1:0", "state", moment, nth, aheadSeconds);
        if (verb !== undefined) {
          assert.notEqual(port, "", "it was to serve, and to be told");
          const admin = openAdmin(site.config.adminSocket);
          await assert.rejects(verb(admin), { code: "unavailable" });
          admin.close();
        }
        await dead;
        assert.equal(process.signalCode, "SIGKILL", `${moment} ${write}`);
        await site.verify();
        const { states, newestAct } = await look(site);
        assert.equal(states, moment === "after" && isLast ? leaves : before.states, `${moment} ${write}`);
        // Of a step that is begun anew the writes before this one are there again.
        const newest = moment === "after" ? write : (writes[index - 1] ?? before.newestAct);
        assert.equal(newestAct, newest, `${moment} ${write}`);
      }
    }
    before = await look(site);
  }
});
