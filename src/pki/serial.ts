/** Serial numbers as people have them from other tools. */

/** With whatever zeros stand in front. */
const grammar = /^[0-9a-f]{1,64}$/;
/** RFC 5280 4.1.2.2. */
const octetsMax = 20;

/**
 * The content octets in lower-case hex of a serial number in hex: upper or lower case, with colons or spaces, with `0x`, with or
 * without leading zeros. Undefined for anything else.
 */
export function readSerial(text: string): string | undefined {
  const digits = text.toLowerCase().replace(/^0x/, "").replaceAll(/[:\s]/g, "");
  if (!grammar.test(digits)) return undefined;
  const value = digits.replace(/^0+(?=.)/, "");
  const whole = value.length % 2 === 0 ? value : `0${value}`;
  // An INTEGER's highest bit is its sign (X.690 8.3).
  const hex = /^[89a-f]/.test(whole) ? `00${whole}` : whole;
  return hex.length <= 2 * octetsMax ? hex : undefined;
}
