/**
 * What waits to be served, in lines: one for each tenant, cluster or namespace. Bounded, and fair between them: one's storm fills
 * its own place first; what cannot be held is given up, newest first, by whoever holds most.
 */

export interface FairQueue<T> {
  /** Takes an item in, of so many bytes, or one of so many. What comes back had to be given up for it: the item itself, or another of the longest line. */
  push(line: string, weight: number, item: T): T | undefined;
  /** Up to `max` items, one line after the other. */
  take(max: number): T[];
  /** Nobody waits for it any more. Nothing, if it is not there. */
  remove(line: string, item: T): void;
  readonly size: number;
  readonly weight: number;
}

interface Waiting<T> {
  readonly weight: number;
  readonly item: T;
}

interface Line<T> {
  readonly name: string;
  /** Undefined before the head: what has been taken is nobody's to hold any more. */
  readonly waiting: (Waiting<T> | undefined)[];
  /** Where the line begins: taken places are cut off in bulk, so that taking stays cheap. */
  head: number;
  weight: number;
}

export function openQueue<T>(weightMax: number): FairQueue<T> {
  // In the order in which they are next served.
  const lines = new Map<string, Line<T>>();
  let held = 0;
  let size = 0;

  const leave = (line: Line<T>, one: Waiting<T>): T => {
    line.weight -= one.weight;
    held -= one.weight;
    size -= 1;
    if (line.head >= line.waiting.length) lines.delete(line.name);
    return one.item;
  };

  const giveUp = (line: Line<T>): T | undefined => {
    const last = line.waiting.pop();
    return last && leave(line, last);
  };

  return {
    push(name, weight, item) {
      const line = lines.get(name) ?? { name, waiting: [], head: 0, weight: 0 };
      lines.set(name, line);
      line.waiting.push({ weight, item });
      line.weight += weight;
      held += weight;
      size += 1;
      return held > weightMax ? giveUp(greediest(lines)) : undefined;
    },
    take(max) {
      const taken: T[] = [];
      for (const line of lines.values()) {
        if (taken.length === max) break;
        // A line that is alone need not be put behind itself each time.
        const alone = lines.size === 1;
        const end = Math.min(line.head + (alone ? max - taken.length : 1), line.waiting.length);
        while (line.head < end) {
          const next = line.waiting[line.head];
          line.waiting[line.head] = undefined;
          line.head += 1;
          if (next !== undefined) taken.push(leave(line, next));
        }
        if (line.head === line.waiting.length) continue;
        shorten(line);
        if (alone) break;
        // To the back of the order, where this loop meets it again.
        lines.delete(line.name);
        lines.set(line.name, line);
      }
      return taken;
    },
    remove(name, item) {
      const line = lines.get(name);
      if (line === undefined) return;
      const at = line.waiting.findIndex((one, index) => index >= line.head && one?.item === item);
      const [gone] = at < 0 ? [] : line.waiting.splice(at, 1);
      if (gone !== undefined) leave(line, gone);
    },
    get size() {
      return size;
    },
    get weight() {
      return held;
    },
  };
}

function greediest<T>(lines: ReadonlyMap<string, Line<T>>): Line<T> {
  let most: Line<T> | undefined;
  for (const line of lines.values()) if (most === undefined || line.weight > most.weight) most = line;
  if (most === undefined) throw new Error("a full queue has no line");
  return most;
}

function shorten<T>(line: Line<T>): void {
  if (line.head < 1024) return;
  line.waiting.splice(0, line.head);
  line.head = 0;
}
