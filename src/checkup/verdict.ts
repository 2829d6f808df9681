/** What a check comes to. */

export type State = "ok" | "warn" | "fail" | "skipped";

/** `says` is one sentence on what is, or why nobody can say; `fix` the command or the value that mends it. */
export type Verdict =
  | { readonly state: "ok" | "skipped"; readonly says: string }
  | { readonly state: "warn" | "fail"; readonly says: string; readonly fix: string };

export const ok = (says: string): Verdict => ({ state: "ok", says });
export const skipped = (says: string): Verdict => ({ state: "skipped", says });
export const warn = (says: string, fix: string): Verdict => ({ state: "warn", says, fix });
export const fail = (says: string, fix: string): Verdict => ({ state: "fail", says, fix });

const gravest: readonly State[] = ["fail", "warn", "ok", "skipped"];

/** One for several of a kind: the gravest, the first of those. */
export function worst(verdicts: readonly Verdict[], none: string): Verdict {
  const [first] = verdicts.toSorted((a, b) => gravest.indexOf(a.state) - gravest.indexOf(b.state));
  return first ?? skipped(none);
}

/** `a, b, c and 7 more`. */
export function some(names: readonly string[], most = 3): string {
  const more = names.length - most;
  return names.slice(0, most).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
