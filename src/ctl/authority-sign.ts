/** `authority sign`: the offline root's own side. No issuer is asked and nothing is read but three files; it runs where the key is. */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { signatureAlgorithmOf, signatureAlgorithms } from "../pki/algorithm.ts";
import { type AuthorityRequest, checkAuthority, createAuthority } from "../pki/authority.ts";
import { type AuthorityCsr, readAuthorityCsr } from "../pki/authority-request.ts";
import { newSerial } from "../pki/leaf.ts";
import { type Others, readRoot } from "../pki/others.ts";
import { csrLabels, readPem, toPem } from "../pki/pem.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { readKeyFile, readOneCertificate } from "./key-file.ts";
import { toFields, toJson } from "./output.ts";
import { readText, readWhole } from "./read.ts";
import { write } from "./write.ts";

interface SignOptions {
  readonly root: string;
  readonly key: string;
  readonly passphraseFile?: string;
  readonly request: string;
  readonly days: string;
  readonly out?: string;
  readonly dryRun?: true;
  readonly output: Output;
}

const dayMs = 86_400_000;
/** Clocks of those who verify may be behind this machine's by this much. */
const backdateMs = 3_600_000;

export function addAuthoritySign(authority: Command, context: Context): void {
  withOutput(authority.command("sign"))
    .description("Signs a request with the root's key, on the machine that has it. Needs no issuer and no network.")
    .requiredOption("--root <file>", "the root's certificate, in PEM")
    .requiredOption("--key <file>", "its private key, in PEM: PKCS #8, SEC 1 or PKCS #1")
    .option("--passphrase-file <file>", "what opens the key, where it is encrypted")
    .requiredOption("--request <file>", "what `espalier authority request` printed")
    .option("--days <number>", "how long the authority lives; never longer than the root", "365")
    .option("--out <file>", "where the certificate goes, instead of the output")
    .option("--dry-run", "say what would be signed, and sign nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  espalier authority sign --root root.pem --key root.key --request payments.csr --dry-run\n  espalier authority sign --root root.pem --key root.key --request payments.csr --days 365 --out payments.pem",
    )
    .action(async (options: SignOptions) => await signRequest(options, context));
}

async function signRequest(options: SignOptions, context: Context): Promise<void> {
  const now = context.now();
  const root = readRoot(await readOneCertificate(options.root), now);
  const key = await readKeyFile(options.key, options.passphraseFile);
  const request = readAuthorityCsr(readPem(await readText(options.request), csrLabels));
  const days = readWhole("--days", options.days, 1);
  const signer = toSigner(key, root);
  if (Buffer.compare(signer.spki, root.certificate.spki) !== 0)
    throw new Refusal("config", `${options.key} is not the key of ${options.root}`);
  const start = Math.floor(+now / 1000) * 1000;
  const times = {
    notBefore: new Date(start - backdateMs),
    notAfter: new Date(Math.min(start + days * dayMs, +root.certificate.notAfter)),
  };
  const asked = describe(request, times);
  if (options.output === "table") context.stderr(toFields(Object.entries(asked)));
  if (options.dryRun) return options.output === "json" ? context.stdout(toJson(asked)) : undefined;
  const certificate = await createAuthority({
    signer,
    parent: root.certificate.der,
    spki: request.spki,
    commonName: request.commonName,
    serial: newSerial(randomBytes),
    pathLength: 0,
    ...times,
  });
  checkAuthority(certificate, root.certificate.der, now);
  const pem = toPem("CERTIFICATE", certificate);
  if (options.out !== undefined) await write(options.out, pem, 0o644);
  if (options.output === "json") return context.stdout(toJson({ ...asked, pem }));
  if (options.out === undefined) context.stdout(pem);
}

/** All that the certificate will say; the digest is what `espalier authority list` shows of the key. */
function describe(
  { commonName, keyKind, spki }: AuthorityCsr,
  { notBefore, notAfter }: { readonly notBefore: Date; readonly notAfter: Date },
): Readonly<Record<string, string>> {
  return {
    subject: `CN=${commonName}`,
    signs: "leaves, and no authorities (CA, path length 0, keyCertSign and cRLSign)",
    key: keyKind,
    "key sha256": createHash("sha256").update(spki).digest("hex"),
    "not before": notBefore.toISOString(),
    "not after": notAfter.toISOString(),
  };
}

function toSigner(key: KeyObject, { algorithm }: Others): AuthorityRequest["signer"] {
  const { hash } = signatureAlgorithms[signatureAlgorithmOf[algorithm]];
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return { algorithm, spki, sign: (bytes) => Promise.resolve(sign(hash, bytes, key)) };
}
