/** `suspend` and `resume`, the same for tenants and clusters. */
import type { Command } from "commander";
import { call } from "../rpc/client.ts";
import type { Suspension__Output } from "../rpc/gen/espalier/v1/Suspension.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toJson } from "./output.ts";

interface SuspendOptions {
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
}

const effects = {
  tenant:
    "Nothing more is signed for it, at once and on every replica. Certificates it has stay valid until they expire.",
  cluster:
    "Its agents are refused, at once and on every replica. Certificates its workloads have stay valid until they expire.",
} as const;

export function addSuspension(parent: Command, kind: "tenant" | "cluster", context: Context): void {
  for (const verb of ["suspend", "resume"] as const) {
    withOutput(withReason(withSocket(parent.command(`${verb} <name>`), context)))
      .description(
        verb === "suspend"
          ? effects[kind]
          : `Takes a suspension back. A ${kind} that its document suspends stays suspended.`,
      )
      .addHelpText("after", `\nExample:\n  espalier ${kind} ${verb} example --reason "incident 12"`)
      .action(async (name: string, { socket, reason, output }: SuspendOptions) => {
        const request = { act: { operator: context.user, reason }, kind, name, suspended: verb === "suspend" };
        const answer = await withAdmin(
          socket,
          async (admin) =>
            await call<object, Suspension__Output>(admin.setSuspended.bind(admin), request, verbDeadlineMs),
        );
        const state = answer.suspended ? "suspended" : "not suspended";
        context.stdout(
          output === "json"
            ? toJson(answer)
            : `${kind} "${name}" is ${answer.changed ? `now ${state}` : `${state} already`}\n`,
        );
      });
  }
}
