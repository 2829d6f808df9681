/** `root bring`: a root that was made elsewhere, with its key or without it. */
import type { Command } from "commander";
import { call } from "../rpc/client.ts";
import type { BroughtRoot__Output } from "../rpc/gen/espalier/v1/BroughtRoot.ts";
import type { Root__Output } from "../rpc/gen/espalier/v1/Root.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { readKeyFile, readOneCertificate, toPkcs8 } from "./key-file.ts";
import { toFields, toJson } from "./output.ts";
import { checkNear } from "./reach.ts";

interface BringOptions {
  readonly certificate: string;
  readonly key?: string;
  readonly passphraseFile?: string;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
  readonly dryRun?: true;
}

/** What a root is brought as, and by whom. */
export interface Bringing {
  readonly name: string;
  /** DER. */
  readonly certificate: Uint8Array;
  /** PKCS #8 in DER; missing where the root is offline. */
  readonly key?: Uint8Array;
  readonly dryRun: boolean;
}

export function addRootBring(root: Command, context: Context): void {
  withOutput(withReason(withSocket(root.command("bring <name>"), context)))
    .description(
      "Gives the issuer a root that was made elsewhere: with its key where the TrustRoot's source is brought, without it where it is offline.",
    )
    .requiredOption("--certificate <file>", "the root's own certificate, in PEM")
    .option("--key <file>", "its private key, in PEM: PKCS #8, SEC 1 or PKCS #1")
    .option("--passphrase-file <file>", "what opens the key, where it is encrypted")
    .option("--dry-run", "say whether it would be taken, and take nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier root bring main --certificate root.pem --key root.key --passphrase-file pass\n  espalier root bring corporate --certificate corporate-root.pem",
    )
    .action(async (name: string, options: BringOptions) => await bring(name, options, context));
}

async function bring(name: string, options: BringOptions, context: Context): Promise<void> {
  const certificate = await readOneCertificate(options.certificate);
  const { key } = options;
  const given = key === undefined ? {} : { key: toPkcs8(await readKeyFile(key, options.passphraseFile)) };
  const brought = await bringRoot({ name, certificate, ...given, dryRun: options.dryRun === true }, options, context);
  if (options.output === "json") return context.stdout(toJson(brought));
  tellBrought(brought, context);
  if (key !== undefined && !options.dryRun)
    context.stdout(`\nIts key is in the issuer's custody. Destroy ${key} and every copy of it: shred -u ${key}\n`);
}

/** A key goes by the socket on the issuer's own machine, and no other way. */
export async function bringRoot(
  { name, dryRun, ...material }: Bringing,
  { socket, reason }: Pick<BringOptions, "socket" | "reason">,
  { user }: Context,
): Promise<BroughtRoot__Output> {
  if (material.key !== undefined) await checkNear(socket);
  return await withAdmin(
    socket,
    async (admin) =>
      await call<object, BroughtRoot__Output>(
        admin.bringRoot.bind(admin),
        { act: { operator: user, reason }, trustRoot: name, ...material, dryRun },
        verbDeadlineMs,
      ),
  );
}

export function tellBrought({ root, warnings }: BroughtRoot__Output, { stdout, stderr }: Context): void {
  for (const warning of warnings) stderr(`warning: ${warning}\n`);
  if (root === null) return;
  // A dry run shows no certificate.
  const done = root.created ? "brought" : root.pem === "" ? "would bring" : undefined;
  stdout(
    done === undefined
      ? `the ${root.kind} root "${root.name}" has this certificate already\n`
      : `${done} the ${root.kind} root "${root.name}"\n`,
  );
  stdout(toRootFields(root));
  if (root.state === "prepared")
    stdout(`\nWorkloads are told to trust it, and it signs nothing yet: espalier root status ${root.name}\n`);
}

/** What a person compares of a root that was made or brought. */
export function toRootFields(root: Root__Output): string {
  return toFields([
    ["state", root.state],
    ["algorithm", root.algorithm],
    ["not after", root.notAfter],
    ["sha256", root.sha256],
  ]);
}
