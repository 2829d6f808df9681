/** A log that is kept, to be looked at. */
import type { Fields, Log } from "../../src/ops/log.ts";

export interface Line {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Fields;
  readonly cause?: unknown;
}

/** A log that is kept. */
export interface Kept extends Log {
  readonly lines: Line[];
  /** The lines of one event. */
  of(event: string): readonly Line[];
}

export function openKeptLog(): Kept {
  const lines: Line[] = [];
  return {
    lines,
    of: (event) => lines.filter((line) => line.event === event),
    info: (event, fields = {}) => void lines.push({ level: "info", event, fields }),
    warn: (event, fields = {}) => void lines.push({ level: "warn", event, fields }),
    error: (event, fields = {}, cause?: unknown) => void lines.push({ level: "error", event, fields, cause }),
  };
}
