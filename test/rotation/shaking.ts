/** Handshakes by Go's crypto/tls on both sides, many a second, by one program that is fed with who speaks to whom, and when. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface Speaker {
  readonly name: string;
  /** PEM: the leaf and what stands above it, its key, and the roots it trusts. */
  readonly chain: string;
  readonly key: string;
  readonly roots: string;
}

export interface Shaken {
  readonly handshakes: number;
  /** Each names the pair, and what either side had to say. */
  readonly failures: readonly string[];
}

export interface Shaking extends AsyncDisposable {
  /** Of each pair of indices the first serves and the second calls. One at a time. */
  shake(at: Date, workloads: readonly Speaker[], pairs: readonly (readonly [number, number])[]): Promise<Shaken>;
}

/** Builds it in a directory first: that takes Go, and nothing but its standard library. */
export function startShaking(directory: string): Shaking {
  const program = join(directory, "handshakes");
  const source = join(import.meta.dirname, "handshakes");
  execFileSync("go", ["build", "-o", program, "."], { cwd: source, stdio: "inherit" });
  const go = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(go, "exit");
  const lines = createInterface({ input: go.stdout })[Symbol.asyncIterator]();
  return {
    async shake(at, workloads, pairs) {
      const asked = { at: Math.floor(+at / 1000), workloads, pairs };
      if (!go.stdin.write(`${JSON.stringify(asked)}\n`)) await once(go.stdin, "drain");
      const { value, done } = await lines.next();
      if (done === true) throw new Error("the program that shakes hands has ended");
      return JSON.parse(value);
    },
    async [Symbol.asyncDispose]() {
      go.stdin.end();
      await ended;
    },
  };
}
