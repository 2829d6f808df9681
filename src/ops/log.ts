/** JSON lines on stdout: a constant event and flat fields. One line per decision. */
import { type DestinationStream, type LoggerOptions, pino } from "pino";

export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  /** `cause` goes to the log whole, its own causes included: this is the one place it is written. */
  error(event: string, fields?: Fields, cause?: unknown): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** One write of many lines: under load each of its own would cost as much as reading a CSR. A crash loses the last of them. */
const bufferBytes = 32 * 1024;
const writeBytesMax = 2 * bufferBytes;
const flushMs = 100;

export function openLog(level: LogLevel, process: string): Log {
  const logger = pino(options(level, process), openStdout());
  return {
    info: (event, fields = {}) => logger.info(fields, event),
    warn: (event, fields = {}) => logger.warn(fields, event),
    error: (event, fields = {}, cause) => logger.error({ ...fields, err: cause }, event),
  };
}

/** Lines are handed on as bytes: of texts the library puts all that waits together anew for each line. */
function openStdout(): DestinationStream {
  const stdout = pino.destination({
    dest: 1,
    sync: false,
    contentMode: "buffer",
    minLength: bufferBytes,
    maxWrite: writeBytesMax,
    periodicFlush: flushMs,
  });
  // Its types know texts alone, which it does not take in this mode.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const bytewise = stdout as unknown as { write(bytes: Buffer): void };
  return { write: (line) => bytewise.write(Buffer.from(line)) };
}

function options(level: LogLevel, process: string): LoggerOptions {
  return {
    level,
    base: { process },
    messageKey: "event",
    timestamp: createTimestamps(),
    formatters: { level: (label) => ({ level: label }) },
    // Belt and braces: no field of these names is ever logged by us.
    redact: { paths: ["token", "csr", "key", "authorization"], censor: "[redacted]" },
  };
}

/** One text for all lines of a millisecond: writing it costs half of what a line does. */
function createTimestamps(): () => string {
  let at = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== at) {
      at = now;
      text = `,"time":"${new Date(now).toISOString()}"`;
    }
    return text;
  };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };
