/** What two versions share while a hub is upgraded: the wire and the database. Only additions go through. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import loader from "@grpc/proto-loader";
import { type Migration, migrations } from "../../src/ledger/schema.ts";
import { historyMissing, unpackPrevious } from "../support/previous.ts";

const previous = unpackPrevious();
after(() => previous?.[Symbol.dispose]());
const skip = previous === undefined && historyMissing;

const { migrations: before }: { readonly migrations: readonly Migration[] } =
  previous === undefined ? { migrations: [] } : await import(previous.at("src/ledger/schema.ts"));

test("migrations of the previous version are as they were, and later ones take nothing from an issuer that still runs", {
  skip,
}, () => {
  assert.ok(before.length > 0);
  assert.deepEqual(migrations.slice(0, before.length), before);
  assert.deepEqual(broken(migrations.slice(before.length)), []);
});

test("a migration that takes something away, or asks more of what is written, is seen", { skip }, () => {
  for (const [sql, why] of [
    ["DROP TABLE suspensions", "suspensions is not there any more"],
    ["ALTER TABLE suspensions RENAME TO old", "suspensions is not there any more"],
    ["ALTER TABLE acknowledgements DROP COLUMN in_force_since", "acknowledgements.in_force_since is not what it was"],
    ["ALTER TABLE entries ADD COLUMN owner TEXT NOT NULL DEFAULT ''", undefined],
    ["ALTER TABLE entries ADD COLUMN owner TEXT", undefined],
    ["CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT; CREATE UNIQUE INDEX one ON more (id)", undefined],
    ["CREATE UNIQUE INDEX one ON entries (identity)", "entries must be unique in identity"],
    [
      "DROP TABLE suspensions; CREATE TABLE suspensions (kind TEXT NOT NULL, name TEXT NOT NULL, by TEXT NOT NULL) STRICT",
      "suspensions.by is not filled by itself",
    ],
  ] as const)
    assert.deepEqual(broken([{ name: "more", sql }]), why === undefined ? [] : [why], sql);
});

/** What later migrations break of the tables that the previous version reads and writes; empty when nothing. */
function broken(later: readonly Migration[]): readonly string[] {
  using database = new DatabaseSync(":memory:");
  for (const { sql } of before) database.exec(sql);
  const earlier = tablesOf(database);
  for (const { sql } of later) database.exec(sql);
  const now = tablesOf(database);
  return [...earlier].flatMap(([name, { columns, unique }]) => {
    const table = now.get(name);
    if (table === undefined) return [`${name} is not there any more`];
    const lost = [...columns].filter(([column, type]) => table.columns.get(column) !== type);
    const added = [...table.columns].filter(([column]) => !columns.has(column) && !table.optional.has(column));
    // What was unique before may be so in more columns now: that refuses less.
    const stricter = table.unique.filter((one) => !unique.some((old) => old.every((column) => one.includes(column))));
    return [
      ...lost.map(([column]) => `${name}.${column} is not what it was`),
      ...added.map(([column]) => `${name}.${column} is not filled by itself`),
      ...stricter.map((one) => `${name} must be unique in ${one.join(", ")}`),
    ];
  });
}

interface Table {
  /** Their types, by name. */
  readonly columns: ReadonlyMap<string, string>;
  /** Those that a row need not give. */
  readonly optional: ReadonlySet<string>;
  /** The columns of each unique index. */
  readonly unique: readonly (readonly string[])[];
}

function tablesOf(database: DatabaseSync): ReadonlyMap<string, Table> {
  const all = (sql: string, ...values: readonly string[]) => database.prepare(sql).all(...values);
  return new Map(
    all("SELECT name FROM sqlite_schema WHERE type = 'table'").map(({ name }) => {
      const table = String(name);
      const columns = all("SELECT * FROM pragma_table_info(?)", table);
      const indexes = all(`SELECT name FROM pragma_index_list(?) WHERE "unique" = 1`, table);
      const columnsOf = (index: string): readonly string[] =>
        all("SELECT name FROM pragma_index_info(?)", index).map((one) => String(one["name"]));
      return [
        table,
        {
          columns: new Map(columns.map((one) => [String(one["name"]), String(one["type"])])),
          optional: new Set(
            columns
              .filter((one) => one["notnull"] === 0 || one["dflt_value"] !== null)
              .map((one) => String(one["name"])),
          ),
          unique: indexes.map((one) => columnsOf(String(one["name"]))),
        },
      ];
    }),
  );
}

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly label: string;
  readonly typeName: string;
}

/** Everything that the other end relies on, a line each. */
function wireOf(directory: string): ReadonlySet<string> {
  const files = ["istio/v1/auth/ca.proto", "espalier/v1/issuer.proto", "espalier/v1/admin.proto"];
  const lines = Object.entries(loader.loadSync([...files], { includeDirs: [directory] })).flatMap(
    ([name, definition]) => {
      if ("format" in definition) {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library types a descriptor as an object
        const { field = [] } = definition.type as { readonly field?: readonly Field[] };
        return field.map((one) => `${name}: ${one.label} ${one.type} ${one.typeName} ${one.name} = ${one.number}`);
      }
      return Object.values(definition).map((method) =>
        [method.path, method.requestStream, method.responseStream, method.requestType.type, method.responseType.type]
          .map((part) => (typeof part === "object" && "name" in part ? part.name : part))
          .join(" "),
      );
    },
  );
  return new Set(lines);
}

test("every field and method of the previous version's wire is still what it was", { skip }, () => {
  const before = wireOf(previous?.at("proto") ?? "");
  const now = wireOf(fileURLToPath(new URL("../../proto", import.meta.url)));
  assert.ok(before.size > 50, `${before.size} fields and methods`);
  assert.deepEqual(
    [...before].filter((line) => !now.has(line)),
    [],
  );
});
