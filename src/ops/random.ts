/** Random bytes for serial numbers and names: drawn in bulk, since asking for sixteen costs as much as asking for thousands. */
import { randomFillSync } from "node:crypto";

const poolBytes = 4096;

/** Each byte is given once. For what must stay secret, ask node:crypto itself: these bytes lie in memory for a while. */
export function openRandom(): (bytes: number) => Uint8Array {
  const pool = new Uint8Array(poolBytes);
  let at = poolBytes;
  return (bytes) => {
    if (bytes > poolBytes) return randomFillSync(new Uint8Array(bytes));
    if (at + bytes > poolBytes) {
      randomFillSync(pool);
      at = 0;
    }
    at += bytes;
    return pool.slice(at - bytes, at);
  };
}
