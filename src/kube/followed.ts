/** Files that others rewrite: the last good content, looked at again when it has become old. */
import { Refusal } from "../errors.ts";

/** A bound token lives an hour and is replaced at 80 %; half a minute late is early. */
const freshMs = 30_000;
/** Even when asked for again and again. */
const againMs = 1_000;

/** What `load` throws is thrown (as a Refusal) only if it never worked; later failures leave the last good content in force. */
export function followed<T>(
  what: string,
  load: () => Promise<T>,
  now: () => number = () => performance.now(),
): (again?: boolean) => Promise<T> {
  let last: { readonly value: T; readonly at: number } | undefined;
  let loading: Promise<T> | undefined;
  const look = async (): Promise<T> => {
    const at = now();
    try {
      const value = await load();
      last = { value, at };
      return value;
    } catch (error) {
      if (last === undefined) throw error instanceof Refusal ? error : unreadable(what, error);
      last = { value: last.value, at };
      return last.value;
    } finally {
      loading = undefined;
    }
  };
  return async (again = false) => {
    if (last !== undefined && now() - last.at < (again ? againMs : freshMs)) return last.value;
    loading ??= look();
    return await loading;
  };
}

function unreadable(what: string, cause: unknown): Refusal {
  return new Refusal("unavailable", `cannot read ${what}`, { cause });
}
