/** What the command line has of the world, and the options that several verbs share. */
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { openAdmin } from "../rpc/client.ts";
import type { AdminClient } from "../rpc/gen/espalier/v1/Admin.ts";

export interface Context {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly isTerminal: boolean;
  /** Who types: written into the ledger with every verb that changes something. */
  readonly user: string;
  readonly defaultSocket: string;
  readonly now: () => Date;
  readonly signals: { on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown; exit(code: number): never };
}

export type Output = "table" | "json";

export function withOutput(command: Command): Command {
  return command.option("-o, --output <format>", "table or json", readOutput, "table" satisfies Output);
}

export function withSocket(command: Command, context: Context): Command {
  return command.option(
    "--socket <path>",
    "the issuer's admin socket (also ESPALIER_ADMIN_SOCKET)",
    context.defaultSocket,
  );
}

export function withReason(command: Command): Command {
  return command.option("--reason <text>", "why; written into the ledger", "");
}

/** One conversation with the issuer. */
export async function withAdmin<T>(socket: string, use: (admin: AdminClient) => Promise<T>): Promise<T> {
  const admin = openAdmin(socket);
  try {
    return await use(admin);
  } catch (error) {
    if (isUnreachable(error)) {
      throw new Refusal(
        "unavailable",
        `no issuer answers this user at ${socket}: start it with \`espalier issuer run\`, or say where it is with --socket`,
        { cause: error },
      );
    }
    throw error;
  } finally {
    admin.close();
  }
}

/** Whether nobody of ours answered: what a server itself said to be unavailable comes without a cause. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof Refusal && error.code === "unavailable" && error.cause !== undefined;
}

/** How long an operator's verb may take. */
export const verbDeadlineMs = 30_000;

function readOutput(text: string): Output {
  if (text !== "table" && text !== "json") throw new Refusal("config", `--output is table or json, not "${text}"`);
  return text;
}
