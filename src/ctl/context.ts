/** What the command line has of the world, and the options that several verbs share. */
import { type Command, Option } from "commander";
import type { AdminClient } from "../rpc/gen/espalier/v1/Admin.ts";
import { openReach } from "./reach.ts";

export interface Context {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly isTerminal: boolean;
  /** Who types: written into the ledger with every verb that changes something. */
  readonly user: string;
  /** The admin socket, or an operator's folder. */
  readonly defaultSocket: string;
  readonly now: () => Date;
  readonly signals: { on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown; exit(code: number): never };
}

const outputs = ["table", "json"] as const;
export type Output = (typeof outputs)[number];

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "for people or for programs").choices(outputs).default(outputs[0]),
  );
}

/** Where the issuer is and as whom it is called, both in one value: `socket` is the path of a socket, or of an operator's folder. */
export function withSocket(command: Command, context: Context): Command {
  return command
    .option("--socket <path>", "the issuer's admin socket (also ESPALIER_ADMIN_SOCKET)", context.defaultSocket)
    .addOption(
      new Option(
        "--as <folder>",
        "from elsewhere: an operator's folder, as `operator create` makes it (also ESPALIER_OPERATOR)",
      ).conflicts("socket"),
    )
    .on("option:as", (folder: string) => command.setOptionValueWithSource("socket", folder, "default"));
}

export function withReason(command: Command): Command {
  return command.option("--reason <text>", "why; written into the ledger", "");
}

/** One conversation with the issuer. */
export async function withAdmin<T>(socket: string, use: (admin: AdminClient) => Promise<T>): Promise<T> {
  const { admin, explain } = await openReach(socket);
  try {
    return await use(admin);
  } catch (error) {
    throw explain(error);
  } finally {
    admin.close();
  }
}

/** How long an operator's verb may take. */
export const verbDeadlineMs = 30_000;
