/** `crl bring`. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { crlLabel, readPem } from "../pki/pem.ts";
import { call } from "../rpc/client.ts";
import type { BroughtCrl__Output } from "../rpc/gen/espalier/v1/BroughtCrl.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toJson } from "./output.ts";

interface BringOptions {
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

const crlBytesMax = 48 * 1024;

export function addCrl(program: Command, context: Context): void {
  const crl = program
    .command("crl")
    .description("CRLs of roots whose key is offline. All others are made by themselves, where a tenant has spec.crl.")
    .addHelpText("after", "\nExample:\n  espalier crl bring main root.crl");
  withOutput(withReason(withSocket(crl.command("bring <root> <file>"), context)))
    .description(
      "Takes a root's CRL, in PEM or DER: signed by that root, newer than the last, and with every authority that is revoked here.",
    )
    .option("--dry-run", "check it and do nothing")
    .addHelpText("after", '\nExample:\n  espalier crl bring main root.crl --reason "ceremony 4"')
    .action(async (trustRoot: string, file: string, options: BringOptions) => {
      const { socket, reason, output, dryRun } = options;
      const request = {
        act: { operator: context.user, reason },
        trustRoot,
        crl: await readDer(file),
        dryRun: dryRun === true,
      };
      const brought = await withAdmin(
        socket,
        async (admin) => await call<object, BroughtCrl__Output>(admin.bringCrl.bind(admin), request, verbDeadlineMs),
      );
      if (output === "json") return context.stdout(toJson({ ...brought, dryRun: dryRun === true }));
      const words = brought.changed ? (dryRun === true ? "would be in force" : "is in force") : "is in force already";
      context.stdout(`CRL ${brought.number} of ${brought.root} ${words}, until ${brought.nextUpdate}\n`);
    });
}

async function readDer(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new Refusal("config", `cannot read ${path}`, { cause });
  });
  return bytes.subarray(0, 5).toString("latin1") === "-----"
    ? readPem(bytes.toString("latin1"), [crlLabel], crlBytesMax)
    : bytes;
}
