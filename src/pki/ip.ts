/** IP addresses and ranges of them, as certificates hold addresses: 4 or 16 octets (RFC 5280 4.2.1.6). */

export interface IpRange {
  readonly octets: Uint8Array;
  /** How many leading bits count. */
  readonly bits: number;
}

/** Dotted decimals without leading zeros, or RFC 4291 2.2 without a zone and without a dotted end. Undefined for anything else. */
export function readIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? readIpv6(text) : readIpv4(text);
}

/** One address, or address/bits; what lies behind the bits does not count. */
export function readIpRange(text: string): IpRange | undefined {
  const [address = "", bits, ...rest] = text.split("/");
  const octets = readIp(address);
  if (octets === undefined || rest.length > 0) return undefined;
  if (bits === undefined) return { octets, bits: octets.length * 8 };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > octets.length * 8) return undefined;
  return { octets, bits: Number(bits) };
}

export function isInRange({ octets, bits }: IpRange, address: Uint8Array): boolean {
  if (octets.length !== address.length) return false;
  const differs = (at: number): number => (octets[at] ?? 0) ^ (address[at] ?? 0);
  const whole = bits >> 3;
  for (let at = 0; at < whole; at++) if (differs(at) !== 0) return false;
  return bits % 8 === 0 || differs(whole) >> (8 - (bits % 8)) === 0;
}

/** For people and for comparison: one text for one address. */
export function toIpText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));
  return groups.join(":");
}

function readIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const fits = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return fits ? Uint8Array.from(parts, Number) : undefined;
}

function readIpv6(text: string): Uint8Array | undefined {
  const [head = "", tail, ...rest] = text.split("::");
  const before = readGroups(head);
  const after = tail === undefined ? [] : readGroups(tail);
  if (before === undefined || after === undefined || rest.length > 0) return undefined;
  const missing = 8 - before.length - after.length;
  // "::" stands for one group at least (RFC 5952 4.2.2).
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...after];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function readGroups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  return groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))
    ? groups.map((group) => Number.parseInt(group, 16))
    : undefined;
}
