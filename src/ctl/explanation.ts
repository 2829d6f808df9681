/** What the hub says of a request that nobody has made, for people. */
import type { ConsideredRule__Output } from "../rpc/gen/espalier/v1/ConsideredRule.ts";
import type { Explanation__Output } from "../rpc/gen/espalier/v1/Explanation.ts";
import { toFields, toTable } from "./output.ts";

export function describe(explanation: Explanation__Output): string {
  const { granted, code, message, fixes, tenant, rule, proof, identity, validitySeconds, authority, rules, notes } =
    explanation;
  const fields: readonly (readonly [string, string])[] = [
    ["verdict", granted ? "granted" : `refused (${code})`],
    ["why", message],
    ...fixes.map((fix): [string, string] => ["fix", fix]),
    ["tenant", tenant],
    ["rule", rule],
    ["proof", proof],
    ["identity", identity],
    ["valid for", validitySeconds === 0 ? "" : `${validitySeconds} s`],
    ["authority", authority],
    ...notes.map((note): [string, string] => ["note", note]),
  ];
  const rows = rules.map((one) => [
    one.name,
    toSays(one),
    ...[one.clusters, one.namespaces, one.serviceAccounts, one.proofs].map((list) => list.join(" ")),
  ]);
  const table = toTable(["RULE", "SAYS", "CLUSTERS", "NAMESPACES", "ACCOUNTS", "PROOFS"], rows);
  return `${toFields(fields)}${rows.length === 0 ? "" : `\n${table}`}`;
}

const lacking: Readonly<Record<string, string>> = { clusters: "cluster", serviceAccounts: "account" };

function toSays({ state, beatenBy, lacks }: ConsideredRule__Output): string {
  switch (state) {
    case "beaten":
      return `beaten by ${beatenBy.join(", ")}`;
    case "repeats":
      return "says the same";
    case "other-tenant":
      return "not asked for";
    case "nearly":
      return `not for this ${lacks.map((one) => lacking[one] ?? one).join(" and ")}`;
    default:
      return state;
  }
}
