/** `request`: asks an agent for a certificate exactly as a workload does, and writes what Istio's agent would. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { Refusal } from "../errors.ts";
import { workloadId } from "../identity.ts";
import { toHostPort } from "../ops/address.ts";
import { readCertificate } from "../pki/certificate.ts";
import { readPem, toPem } from "../pki/pem.ts";
import { toCsr } from "../pki/request.ts";
import { createCertificate } from "../rpc/client.ts";
import { isClaims } from "../token/jwt.ts";
import { type Context, type Output, withOutput } from "./context.ts";
import { toFields, toJson } from "./output.ts";
import { isUnreachable } from "./reach.ts";
import { readText, readWhole } from "./read.ts";
import { write } from "./write.ts";

interface RequestOptions {
  readonly agent: string;
  readonly ca: string;
  readonly tokenFile?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly trustDomain?: string;
  readonly identity?: string;
  readonly impersonate?: string;
  readonly keyType: string;
  readonly validity: string;
  readonly signer?: string;
  readonly clusterId?: string;
  readonly serverName?: string;
  readonly out: string;
  readonly timeout: string;
  readonly output: Output;
}

const keyTypes: Readonly<Record<string, () => KeyObject>> = {
  "P-256": () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  "P-384": () => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey,
  Ed25519: () => generateKeyPairSync("ed25519").privateKey,
  "RSA-2048": () => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
  "RSA-3072": () => generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey,
  "RSA-4096": () => generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey,
};

export function addRequest(program: Command, context: Context): void {
  withOutput(program.command("request"))
    .description(
      "Asks an agent for a certificate as a workload would, and writes cert-chain.pem, key.pem and root-cert.pem.",
    )
    .requiredOption("--agent <host:port>", "the agent")
    .requiredOption("--ca <file>", "PEM roots of the agent's serving certificate (istio-ca-root-cert)")
    .option("--token-file <file>", "the workload's service-account token")
    .option("--cert <file>", "or the certificate to renew, PEM chain")
    .option("--key <file>", "and its key")
    .option("--identity <uri>", "the SPIFFE ID to ask for")
    .option("--impersonate <uri>", "as a ztunnel does: the SPIFFE ID of a workload of its node to ask for")
    .option("--trust-domain <name>", "or the trust domain; the rest comes from the token")
    .option("--key-type <type>", `the new key: ${Object.keys(keyTypes).join(", ")}`, "P-256")
    .option("--validity <seconds>", "how long; 0 for the tenant's default", "0")
    .option("--signer <tenant>", "CertSigner: ask for this tenant")
    .option("--cluster-id <id>", "the clusterid header that Istio's agents send")
    .option("--server-name <name>", "the DNS name the agent's certificate must carry, if not the host")
    .option("--out <directory>", "where the files go", ".")
    .option("--timeout <ms>", "how long to wait", "15000")
    .addHelpText(
      "after",
      "\nExample:\n  espalier request --agent localhost:15012 --ca root-cert.pem --token-file token \\\n    --trust-domain payments.example --out ./checkout",
    )
    .action(async (options: RequestOptions) => await request(options, context));
}

async function request(options: RequestOptions, { stdout }: Context): Promise<void> {
  const token = options.tokenFile === undefined ? undefined : (await readText(options.tokenFile)).trim();
  const makeKey = keyTypes[options.keyType];
  if (makeKey === undefined)
    throw new Refusal("config", `--key-type is one of ${Object.keys(keyTypes).join(", ")}, not "${options.keyType}"`);
  const uri = options.identity ?? options.impersonate ?? toIdentity(token, options.trustDomain);
  const privateKey = makeKey();
  const csr = toPem("CERTIFICATE REQUEST", toCsr({ privateKey, uri, subject: "istio" }));
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(options.clusterId === undefined ? {} : { clusterid: options.clusterId }),
  };
  const tls = {
    rootsPem: await readText(options.ca),
    serverName: options.serverName ?? toHostPort(options.agent).host,
    ...(await readIdentity(options)),
  };
  const asked = {
    csr,
    validityDuration: readWhole("--validity", options.validity, 0),
    metadata: { fields: toMetadata(options) },
  };
  const deadlineMs = readWhole("--timeout", options.timeout, 1);
  const { certChain } = await createCertificate(options.agent, tls, asked, headers, deadlineMs).catch(
    (error: unknown) => {
      throw isUnreachable(error) ? noAgent(options.agent, error) : error;
    },
  );
  const [leaf, root] = [certChain[0], certChain.at(-1)];
  if (leaf === undefined || root === undefined || certChain.length < 2)
    throw new Refusal("unavailable", "the answer is no chain");
  await mkdir(options.out, { recursive: true });
  await write(join(options.out, "key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), 0o600);
  await write(join(options.out, "root-cert.pem"), root, 0o644);
  // Last, as what a watcher waits for.
  await write(join(options.out, "cert-chain.pem"), certChain.slice(0, -1).join(""), 0o644);
  const { uris, serial, notBefore, notAfter } = readCertificate(readPem(leaf, ["CERTIFICATE"]));
  const seen = {
    identity: uris.join(","),
    serial: Buffer.from(serial).toString("hex"),
    notBefore: notBefore.toISOString(),
    notAfter: notAfter.toISOString(),
    directory: options.out,
  };
  stdout(options.output === "json" ? toJson(seen) : toFields(Object.entries(seen)));
}

/** As Istio's agents have it: CertSigner is always there. */
function toMetadata({ signer = "", impersonate }: RequestOptions): Readonly<Record<string, { stringValue: string }>> {
  const asked = impersonate === undefined ? {} : { ImpersonatedIdentity: { stringValue: impersonate } };
  return { CertSigner: { stringValue: signer }, ...asked };
}

/** What Istio's agent would name itself. Only a request: the token decides, at the agent and again at the issuer. */
function toIdentity(token: string | undefined, trustDomain: string | undefined): string {
  if (token === undefined || trustDomain === undefined)
    throw new Refusal("config", "say who is asking: --identity, --impersonate, or --token-file and --trust-domain");
  const claims = readClaims(token);
  const [, , namespace, serviceAccount] =
    isClaims(claims) && typeof claims["sub"] === "string" ? claims["sub"].split(":") : [];
  if (namespace === undefined || serviceAccount === undefined)
    throw new Refusal("config", "the token is no service account's: give --identity");
  return workloadId({ trustDomain, namespace, serviceAccount });
}

/** Undefined for what is no token. The parser's own words would quote it. */
function readClaims(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function noAgent(address: string, cause: unknown): Refusal {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new Refusal(
    "unavailable",
    `no agent answers at ${address} under --ca; is its name there another (--server-name)?${why}`,
    { cause },
  );
}

async function readIdentity({
  cert,
  key,
}: RequestOptions): Promise<{ readonly identity?: { readonly chainPem: string; readonly keyPem: string } }> {
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined) throw new Refusal("config", "--cert and --key go together");
  return { identity: { chainPem: await readText(cert), keyPem: await readText(key) } };
}
