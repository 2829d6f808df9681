/** PEM (RFC 7468), read strictly: whole blocks of canonical base64 and white space, nothing else. */
import { Refusal } from "../errors.ts";
import { derBytesMax } from "./der.ts";

export const certificateLabel = "CERTIFICATE";
export const crlLabel = "X509 CRL";
/** What Go and OpenSSL have called a CSR (RFC 7468 section 7). */
export const csrLabels: readonly string[] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
/** How many certificates one bundle may hold. */
export const bundleCertificatesMax = 64;

interface Block {
  readonly der: Uint8Array;
  readonly rest: string;
}

/** The content of a text that is exactly one block with one of the labels. @throws Refusal `malformed` */
export function readPem(text: string, labels: readonly string[], bytesMax: number = derBytesMax): Uint8Array {
  if (text.length > textMax(bytesMax)) throw malformed(`longer than ${textMax(bytesMax)} characters`);
  const { der, rest } = readBlock(text.trim(), labels);
  if (rest !== "") throw malformed("something follows its end line");
  if (der.length > bytesMax) throw malformed(`it holds more than ${bytesMax} bytes`);
  return der;
}

/** The certificates of a bundle, at least one, in their order. @throws Refusal `malformed` */
export function readPemAll(text: string, labels: readonly string[] = [certificateLabel]): readonly Uint8Array[] {
  const textLengthMax = textMax(derBytesMax) * bundleCertificatesMax;
  if (text.length > textLengthMax) throw malformed(`longer than ${textLengthMax} characters`);
  const all: Uint8Array[] = [];
  let left = text.trim();
  do {
    const { der, rest } = readBlock(left, labels);
    if (der.length > derBytesMax) throw malformed(`a block holds more than ${derBytesMax} bytes`);
    all.push(der);
    if (all.length > bundleCertificatesMax) throw malformed(`more than ${bundleCertificatesMax} blocks`);
    left = rest;
  } while (left !== "");
  return all;
}

/** The one canonical text: 64 columns, LF, a new line at the end. Istio compares bundles as text. */
export function toPem(label: string, der: Uint8Array): string {
  const base64 = toBase64(der);
  let text = `-----BEGIN ${label}-----\n`;
  for (let at = 0; at < base64.length; at += 64) text += `${base64.slice(at, at + 64)}\n`;
  return `${text}-----END ${label}-----\n`;
}

/** One after the other, as `readPemAll` reads them. */
export function toPemAll(label: string, ders: readonly Uint8Array[]): string {
  return ders.map((der) => toPem(label, der)).join("");
}

function readBlock(text: string, labels: readonly string[]): Block {
  const label = labels.find((name) => text.startsWith(`-----BEGIN ${name}-----`));
  if (label === undefined) throw malformed(`it does not begin with a line "BEGIN ${labels.join('" or "BEGIN ')}"`);
  const start = `-----BEGIN ${label}-----`.length;
  const endLine = `\n-----END ${label}-----`;
  const end = text.indexOf(endLine, start);
  if (end === -1) throw malformed(`it has no line "END ${label}"`);
  const base64 = readLines(text.slice(start, end + 1));
  const der = Buffer.from(base64, "base64");
  // Node skips what it does not understand, so the way back has to lead to the same text.
  if (toBase64(der) !== base64) throw malformed("its base64 is not canonical (RFC 4648 section 3.5)");
  const rest = text.slice(end + endLine.length);
  if (rest !== "" && !/^\r?\n/.test(rest)) throw malformed("something follows its end line");
  return { der, rest: rest.trimStart() };
}

/** The lines without their ends. An empty line would be the end of a header elsewhere (RFC 1421 4.4), so there is none. */
function readLines(body: string): string {
  const lines = body.includes("\r") ? body.replaceAll("\r\n", "\n") : body;
  if (!lines.startsWith("\n") || lines === "\n" || lines.includes("\n\n")) {
    throw malformed("its lines are not base64 (RFC 7468 section 3)");
  }
  return lines.replaceAll("\n", "");
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Base64 with a line end for every character would still be within twice this; honest text is within 1.4 times. */
function textMax(bytesMax: number): number {
  return bytesMax * 2;
}

function malformed(rule: string): Refusal {
  return new Refusal("malformed", `not PEM: ${rule}`);
}
