/**
 * How a verb gets to the issuer: by the socket on its own machine, or from elsewhere with what is in an operator's folder. The path
 * says which.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../errors.ts";
import { toHostPort } from "../ops/address.ts";
import { readCertificate } from "../pki/certificate.ts";
import { certificateLabel, readPem } from "../pki/pem.ts";
import { type ClientTls, openAdmin, openRemoteAdmin } from "../rpc/client.ts";
import type { AdminClient } from "../rpc/gen/espalier/v1/Admin.ts";
import { readText } from "./read.ts";

/** What is in an operator's folder. */
export const folderFiles = {
  key: "key.pem",
  certificate: "certificate.pem",
  hubRoot: "hub-root.pem",
  /** One line: host:port of an issuer's `adminListen`. */
  issuer: "issuer",
} as const;

export interface Reach {
  readonly admin: AdminClient;
  /** What an operator can do about an error. */
  explain(error: unknown): unknown;
}

/** @throws Refusal `config` where the folder is not whole. */
export async function openReach(path: string): Promise<Reach> {
  return (await isFolder(path)) ? await openFolder(path) : openSocket(path);
}

/** Before a private key is sent. The issuer refuses one from elsewhere, but then it has been sent. @throws Refusal `config`. */
export async function checkNear(path: string): Promise<void> {
  if (await isFolder(path))
    throw new Refusal(
      "config",
      "a private key goes by the socket on the issuer's own machine: run this there, without --as",
    );
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

/** Whether nobody of ours answered: what a server itself said to be unavailable comes without a cause. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof Refusal && error.code === "unavailable" && error.cause !== undefined;
}

function openSocket(path: string): Reach {
  return {
    admin: openAdmin(path),
    explain: (error) =>
      isUnreachable(error)
        ? new Refusal(
            "unavailable",
            `no issuer answers this user at ${path}: start it with \`espalier issuer run\`, or say where it is with --socket`,
            { cause: error },
          )
        : error,
  };
}

async function openFolder(folder: string): Promise<Reach> {
  const [address, chainPem, keyPem, rootsPem] = await Promise.all([
    readAddress(folder),
    readText(join(folder, folderFiles.certificate)),
    readText(join(folder, folderFiles.key)),
    readText(join(folder, folderFiles.hubRoot)),
  ]);
  const { serverName, notAfter } = readOwn(chainPem, folder);
  const admin = openChecked(address, { rootsPem, serverName, identity: { chainPem, keyPem } }, folder);
  return {
    admin,
    explain: (error) => {
      if (isUnreachable(error)) {
        const why = error instanceof Refusal && error.cause instanceof Error ? `: ${error.cause.message}` : "";
        return new Refusal(
          "unavailable",
          `no issuer answers at ${address} as ${serverName} under ${join(folder, folderFiles.hubRoot)}; is its adminListen set?${why}`,
          { cause: error },
        );
      }
      if (!(error instanceof Refusal) || error.code !== "proof-missing") return error;
      return new Refusal(
        "proof-missing",
        `${error.message}; that of ${folder} is valid until ${notAfter.toISOString()}`,
        { cause: error },
      );
    },
  };
}

async function readAddress(folder: string): Promise<string> {
  const file = join(folder, folderFiles.issuer);
  const address = (
    await readText(file).catch((cause: unknown) => {
      throw new Refusal("config", `${file} is missing: write host:port of an issuer's adminListen into it`, { cause });
    })
  ).trim();
  toHostPort(address);
  return address;
}

/** What every issuer of the hub is called, from the hub that the operator's own identity names. */
function readOwn(chainPem: string, folder: string): { readonly serverName: string; readonly notAfter: Date } {
  const { uris, notAfter } = readCertificate(readPem(chainPem, [certificateLabel]));
  const [, hub] = /^spiffe:\/\/([^/]+)\/operator\/[^/]+$/.exec(uris[0] ?? "") ?? [];
  if (hub === undefined)
    throw new Refusal("config", `${join(folder, folderFiles.certificate)} is no operator's certificate`);
  return { serverName: `issuer.${hub}`, notAfter };
}

function openChecked(address: string, tls: ClientTls, folder: string): AdminClient {
  try {
    return openRemoteAdmin(address, tls);
  } catch (cause) {
    // Without its words, which could quote what it could not read.
    throw new Refusal("config", `key.pem, certificate.pem and hub-root.pem of ${folder} do not go together`, { cause });
  }
}
