/** What pkijs, a second implementation, makes of a CSR. */
import assert from "node:assert/strict";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";

export interface PkijsCsr {
  readonly spki: Uint8Array;
  /** `commonNames=till`, as `SubjectKind` calls them. */
  readonly subject: readonly string[];
  /** `dns:shop.example`. */
  readonly names: readonly string[];
  readonly isCa?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: readonly string[];
  /** The OIDs' content octets in hex. */
  readonly extended?: readonly string[];
}

/** X.520 and RFC 4519. */
const attributes: Readonly<Record<string, string>> = {
  "2.5.4.3": "commonNames",
  "2.5.4.10": "organizations",
  "2.5.4.11": "organizationalUnits",
  "2.5.4.6": "countries",
  "2.5.4.8": "provinces",
  "2.5.4.7": "localities",
  "2.5.4.9": "streetAddresses",
  "2.5.4.17": "postalCodes",
  "2.5.4.5": "serialNumbers",
  "0.9.2342.19200300.100.1.25": "domainComponents",
  "0.9.2342.19200300.100.1.1": "userIds",
};
const nameKinds: Readonly<Record<number, string>> = { 1: "email", 2: "dns", 6: "uri" };
const bits = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
];

/** @throws Error for what pkijs does not parse, and for what no CSR of ours has. */
export function csrByPkijs(der: Uint8Array): PkijsCsr {
  const request = new pkijs.CertificationRequest({ schema: parse(der) });
  const found: { -readonly [K in keyof PkijsCsr]: PkijsCsr[K] } = {
    spki: new Uint8Array(request.subjectPublicKeyInfo.toSchema().toBER()),
    subject: request.subject.typesAndValues.map(({ type, value }) => `${attributes[type]}=${value.valueBlock.value}`),
    names: [],
  };
  for (const { type, values } of request.attributes ?? []) {
    assert.equal(type, "1.2.840.113549.1.9.14");
    for (const value of values)
      for (const { extnID, extnValue, parsedValue } of new pkijs.Extensions({ schema: value }).extensions) {
        const inner = parse(extnValue.valueBlock.valueHexView);
        if (extnID === "2.5.29.17") {
          assert.ok(parsedValue instanceof pkijs.AltName);
          found.names = parsedValue.altNames.map(toNameText);
        }
        if (extnID === "2.5.29.15") {
          assert.ok(inner instanceof asn1js.BitString);
          const octets = inner.valueBlock.valueHexView;
          found.keyUsage = bits.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
        }
        if (extnID === "2.5.29.37") found.extended = elementsOf(inner).map((one) => toHex(contentOf(one)));
        if (extnID === "2.5.29.19") {
          const [first, second] = elementsOf(inner);
          found.isCa = first instanceof asn1js.Boolean && first.valueBlock.value;
          const length = first instanceof asn1js.Integer ? first : second;
          if (length !== undefined) found.pathLength = contentOf(length).reduce((sum, octet) => sum * 256 + octet, 0);
        }
      }
  }
  return found;
}

function parse(der: Uint8Array): asn1js.AsnType {
  const { offset, result } = asn1js.fromBER(Uint8Array.from(der));
  assert.notEqual(offset, -1, "pkijs does not parse it");
  return result;
}

function elementsOf(sequence: asn1js.AsnType): readonly asn1js.AsnType[] {
  assert.ok(sequence instanceof asn1js.Sequence);
  return sequence.valueBlock.value;
}

/** Without its tag and length, of which each of these has one octet. */
function contentOf(element: asn1js.AsnType): Uint8Array {
  return new Uint8Array(element.toBER()).subarray(2);
}

function toNameText({ type, value }: pkijs.GeneralName): string {
  if (type !== 7) return `${nameKinds[type]}:${String(value)}`;
  assert.ok(value instanceof asn1js.OctetString);
  const octets = Buffer.from(value.valueBlock.valueHexView);
  if (octets.length === 4) return `ip:${octets.join(".")}`;
  return `ip:${Array.from({ length: 8 }, (_, at) => octets.readUInt16BE(at * 2).toString(16)).join(":")}`;
}

function toHex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
