import { Refusal } from "../errors.ts";

/** Splits `host:port`; an IPv6 host stands in brackets. @throws Refusal `config`. */
export function toHostPort(address: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535) throw new Refusal("config", `"${address}" is not host:port`);
  return { host, port };
}
