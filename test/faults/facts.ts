/**
 * Made state as facts, and the rule that every write of it is judged by: whatever became of the write, each fact is as it was before the
 * step or as the step wanted it, and as the step wanted it where that was told to be done. What no step is about stays.
 */
import type { State } from "../../src/ledger/state.ts";
import type { Book, Facts } from "./book.ts";

/** More than a schedule revokes. */
const revocationsMax = 10_000;

/** Where a fact is not there, its value is empty. */
export const factOf = {
  operator: (name: string): string => `operator ${name}`,
  suspended: (source: string, kind: string, name: string): string => `${source} suspends ${kind}/${name}`,
  hold: "a rotation is held",
  revoked: (serial: Uint8Array): string => `revoked ${Buffer.from(serial).toString("hex")}`,
  sealedBy: "sealed by",
} as const;

export function toOperatorFact(role: string, keySha256: Uint8Array, isRevoked: boolean): string {
  return `${role} ${Buffer.from(keySha256).toString("hex")}${isRevoked ? " revoked" : ""}`;
}

async function readFacts(state: State): Promise<Facts> {
  const [operators, suspensions, marks, revocations, sealed] = await Promise.all([
    state.operators(),
    state.suspensions(),
    state.rotationMarks(),
    state.lastRevocations(revocationsMax),
    state.sealedKeys(),
  ]);
  return new Map<string, string>([
    ...operators.map(({ name, role, keySha256, revokedAt }): [string, string] => [
      factOf.operator(name),
      toOperatorFact(role, keySha256, revokedAt !== undefined),
    ]),
    ...suspensions.map(({ source, kind, name }): [string, string] => [factOf.suspended(source, kind, name), "yes"]),
    ...marks.flatMap(({ kind }): [string, string][] => (kind === "hold" ? [[factOf.hold, "yes"]] : [])),
    ...revocations.map(({ serial, reason }): [string, string] => [factOf.revoked(serial), reason]),
    // Never some of each.
    [factOf.sealedBy, [...new Set(sealed.map(({ sealedBy }) => sealedBy))].join(" and ")],
  ]);
}

/** After a step. What is seen then is how it is: the next step begins with it. */
export async function judgeFacts(state: State, book: Book): Promise<void> {
  const seen = await readFacts(state);
  const begun = book.facts ?? seen;
  for (const fact of new Set([...begun.keys(), ...seen.keys()])) {
    const [before, now] = [begun.get(fact) ?? "", seen.get(fact) ?? ""];
    if (before !== now && !book.may.some((mayBe) => mayBe(fact, now)))
      book.faults.push(`"${fact}" was "${before}" and is "${now}", which nobody asked for`);
  }
  for (const [fact, value] of book.must)
    if ((seen.get(fact) ?? "") !== value) book.faults.push(`"${fact}" was told to be "${value}" and is not`);
  book.facts = seen;
  book.may.length = 0;
  book.must.clear();
}
