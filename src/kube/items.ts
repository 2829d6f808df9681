/**
 * A list's answer, one item at a time: each is parsed, stripped of what isn't needed, and forgotten before the next. A page of 500
 * pods parsed as a whole is some 20 MB at once, which the process would then keep.
 */
import { Refusal } from "../errors.ts";

export interface Items {
  /** @throws Refusal `malformed`. */
  take(chunk: Buffer): void;
  /** The answer without its items. @throws SyntaxError if it is no JSON. */
  end(): unknown;
}

/** As of an event of a watch. */
const itemBytesMax = 8 * 1024 * 1024;
/** All but the items: metadata, and whatever else. */
const restBytesMax = 1024 * 1024;

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const [answerDepth, listDepth] = [1, 2];

/** Only finds where an item ends; what is in it, and whether the rest is JSON, is JSON.parse's to judge. */
export function openItems(onItem: (item: unknown) => void): Items {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let inItems = false;
  let inItem = false;
  const item = openHeap(itemBytesMax);
  const rest = openHeap(restBytesMax);

  const take = (chunk: Buffer): void => {
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
      } else if (byte === quote) inString = true;
      else if (byte === openBrace || byte === openBracket) {
        if (inItems && !inItem && depth === listDepth) {
          rest.add(chunk.subarray(from, at));
          [inItem, from] = [true, at];
        } else if (byte === openBracket && depth === answerDepth) {
          rest.add(chunk.subarray(from, at));
          from = at;
          inItems = /"items"\s*:\s*$/.test(rest.tail());
        }
        depth += 1;
      } else if (byte === closeBrace || byte === closeBracket) {
        depth -= 1;
        if (inItem && depth === listDepth) {
          item.add(chunk.subarray(from, at + 1));
          [inItem, from] = [false, at + 1];
          onItem(JSON.parse(item.empty()));
        } else if (inItems && depth < listDepth) inItems = false;
      } else if (byte === comma && inItems && !inItem && depth === listDepth) {
        rest.add(chunk.subarray(from, at));
        from = at + 1;
      }
    }
    (inItem ? item : rest).add(chunk.subarray(from));
  };
  return { take, end: () => JSON.parse(rest.empty()) };
}

interface Heap {
  add(bytes: Buffer): void;
  /** The last few characters. */
  tail(): string;
  /** All of it, and begins anew. */
  empty(): string;
}

function openHeap(bytesMax: number): Heap {
  let parts: Buffer[] = [];
  let bytes = 0;
  return {
    add: (part) => {
      bytes += part.length;
      if (bytes > bytesMax) throw new Refusal("malformed", `a part of a list is longer than ${bytesMax} bytes`);
      if (part.length > 0) parts.push(part);
    },
    tail: () => {
      parts = [Buffer.concat(parts)];
      return parts[0]?.subarray(-32).toString("latin1") ?? "";
    },
    empty: () => {
      const text = parts.length === 1 ? (parts[0]?.toString("utf8") ?? "") : Buffer.concat(parts).toString("utf8");
      [parts, bytes] = [[], 0];
      return text;
    },
  };
}
