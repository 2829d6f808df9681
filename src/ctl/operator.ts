/** `operator create`, `request`, `list`, `revoke`. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { Refusal } from "../errors.ts";
import { toHostPort } from "../ops/address.ts";
import { certificateLabel, csrLabels, readPem, toPem, toPemAll } from "../pki/pem.ts";
import { toCsr } from "../pki/request.ts";
import { call } from "../rpc/client.ts";
import type { OperatorCertificate__Output } from "../rpc/gen/espalier/v1/OperatorCertificate.ts";
import type { OperatorChange__Output } from "../rpc/gen/espalier/v1/OperatorChange.ts";
import type { Operators__Output } from "../rpc/gen/espalier/v1/Operators.ts";
import { type Context, type Output, verbDeadlineMs, withAdmin, withOutput, withReason, withSocket } from "./context.ts";
import { toFields, toJson, toTable } from "./output.ts";
import { folderFiles } from "./reach.ts";
import { readText, readWhole } from "./read.ts";
import { write } from "./write.ts";

interface CreateOptions {
  readonly role: string;
  readonly days: string;
  readonly request?: string;
  readonly issuer?: string;
  readonly out: string;
  readonly dryRun?: true;
  readonly socket: string;
  readonly reason: string;
  readonly output: Output;
}

const requestFile = "request.pem";
const csrLabel = csrLabels[0] ?? "";

export function addOperator(program: Command, context: Context): void {
  const operator = program
    .command("operator")
    .description("People and programs that call the issuer from elsewhere, each with a certificate and a role.")
    .addHelpText("after", "\nExample:\n  espalier operator list");
  withOutput(withReason(withSocket(operator.command("create <name>"), context)))
    .description(
      "Makes an operator, or gives one a new certificate, role or key. Without --request the key is made here, into --out.",
    )
    .addOption(
      new Option("--role <role>", "viewer looks, operator does what can be undone, admin does everything")
        .choices(["viewer", "operator", "admin"])
        .makeOptionMandatory(),
    )
    .option("--days <n>", "how long the certificate lives, at most 90", "30")
    .option("--request <file>", "what `espalier operator request` has made where the key is")
    .option("--issuer <host:port>", "an issuer's adminListen, as it is reached from where the folder will be used")
    .requiredOption("--out <folder>", "the operator's folder, for --as")
    .option("--dry-run", "say what would be made and make nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier operator create alice --role operator --issuer hub.example:15444 --out ./alice\n  espalier operator create ci --role viewer --request ci-request.pem --out ./ci --days 90",
    )
    .action(async (name: string, options: CreateOptions) => await create(name, options, context));
  operator
    .command("request")
    .description(
      "Makes a key and a request for a certificate, both here. Only the request goes to whoever creates operators.",
    )
    .requiredOption("--out <folder>", "the operator's folder, for --as")
    .addHelpText("after", "\nExample:\n  espalier operator request --out ./alice")
    .action(async ({ out }: { out: string }) => {
      const csr = toCsr({ privateKey: await openKey(out) });
      await write(join(out, requestFile), toPem(csrLabel, csr), 0o644);
      context.stdout(
        `${join(out, requestFile)} is for an admin: espalier operator create <name> --role <role> --request ${requestFile} --out <folder>\n`,
      );
    });
  withOutput(withSocket(operator.command("list"), context))
    .description("All operators, revoked ones too.")
    .addHelpText("after", "\nExample:\n  espalier operator list -o json")
    .action(async ({ socket, output }: { socket: string; output: Output }) => {
      const { operators } = await withAdmin(
        socket,
        async (admin) => await call<object, Operators__Output>(admin.listOperators.bind(admin), {}, verbDeadlineMs),
      );
      const rows = operators.map((o) => [o.name, o.role, o.keySha256.slice(0, 16), o.madeAt, o.revokedAt]);
      context.stdout(
        output === "json" ? toJson(operators) : toTable(["NAME", "ROLE", "KEY SHA-256", "SINCE", "REVOKED"], rows),
      );
    });
  withOutput(withReason(withSocket(operator.command("revoke <name>"), context)))
    .description(
      "Takes an operator's role away, at once and at every issuer; the certificate is worth nothing any more.",
    )
    .addHelpText("after", '\nExample:\n  espalier operator revoke alice --reason "left"')
    .action(async (name: string, options: Pick<CreateOptions, "socket" | "reason" | "output">) => {
      const request = { act: { operator: context.user, reason: options.reason }, name };
      const change = await withAdmin(
        options.socket,
        async (admin) =>
          await call<object, OperatorChange__Output>(admin.revokeOperator.bind(admin), request, verbDeadlineMs),
      );
      if (options.output === "json") return context.stdout(toJson(change));
      context.stdout(`operator "${name}" ${change.changed ? "is revoked" : "was revoked before"}\n`);
    });
}

async function create(name: string, options: CreateOptions, { stdout, user }: Context): Promise<void> {
  const { role, request, issuer, out, socket, reason, output } = options;
  const days = readWhole("--days", options.days, 1);
  if (issuer !== undefined) toHostPort(issuer);
  const dryRun = options.dryRun === true;
  const csr = await readRequest(request, out, dryRun);
  const made = await withAdmin(
    socket,
    async (admin) =>
      await call<object, OperatorCertificate__Output>(
        admin.createOperator.bind(admin),
        { act: { operator: user, reason }, name, role, csr, days, dryRun },
        verbDeadlineMs,
      ),
  );
  if (!dryRun) await writeFolder(out, made, issuer);
  const { keySha256 = "" } = made.operator ?? {};
  const { changed, notAfter } = made;
  if (output === "json") return stdout(toJson({ name, role, keySha256, changed, notAfter, folder: out }));
  if (dryRun)
    return stdout(`would ${changed ? "make" : "give a new certificate to"} the operator "${name}", ${role}\n`);
  stdout(
    toFields([
      ["operator", name],
      ["role", role],
      ["key sha256", keySha256],
      ["not after", notAfter],
      ["folder", out],
    ]),
  );
  if (!(await isThere(join(out, folderFiles.issuer))))
    stdout(`write host:port of an issuer's adminListen into ${join(out, folderFiles.issuer)}\n`);
}

/** A dry run leaves no key behind: it asks with one that is forgotten. */
async function readRequest(file: string | undefined, out: string, dryRun: boolean): Promise<Uint8Array> {
  if (file !== undefined) return readPem(await readText(file), csrLabels);
  return toCsr({ privateKey: dryRun && !(await isThere(join(out, folderFiles.key))) ? makeKey() : await openKey(out) });
}

/** The folder's key, made where there is none: a verb that is repeated asks with the same one. */
async function openKey(folder: string): Promise<KeyObject> {
  const file = join(folder, folderFiles.key);
  if (await isThere(file)) return readKey(await readText(file), file);
  const key = makeKey();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await write(file, key.export({ type: "pkcs8", format: "pem" }), 0o600);
  return key;
}

function makeKey(): KeyObject {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

function readKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Refusal("config", `${file} is no private key in PEM`);
  }
}

async function writeFolder(
  folder: string,
  { certificate, hubRoots }: OperatorCertificate__Output,
  issuer: string | undefined,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await write(join(folder, folderFiles.hubRoot), toPemAll(certificateLabel, hubRoots), 0o644);
  if (issuer !== undefined) await write(join(folder, folderFiles.issuer), `${issuer}\n`, 0o644);
  await write(join(folder, folderFiles.certificate), toPem(certificateLabel, certificate), 0o644);
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
