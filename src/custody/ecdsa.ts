/** ECDSA signatures as certificates have them. */

/**
 * The DER of Ecdsa-Sig-Value (RFC 3279 2.2.3) from r and s one after the other, each as long as the curve's order, as PKCS #11 has
 * them. @throws when it is of another length.
 */
export function toDerSignature(raw: Uint8Array, orderBytes: number): Uint8Array {
  if (raw.length !== 2 * orderBytes)
    throw new Error(`a signature of ${raw.length} bytes for an order of ${orderBytes}`);
  const body = Buffer.concat([toInteger(raw.subarray(0, orderBytes)), toInteger(raw.subarray(orderBytes))]);
  // At most 2 * (2 + 49): the short form of a length.
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** The shortest form of a positive number: no leading zeros but the one that keeps it positive. */
function toInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return Buffer.of(0x02, sign.length + digits.length, ...sign, ...digits);
}
