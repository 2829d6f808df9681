/**
 * PKCS #11 2.40 as far as we use it, over node:ffi. CK_ULONG is 64 bits and little-endian: every 64-bit Linux and macOS. The
 * module has to export its functions by name. What it answers but CKR_OK is thrown as a CryptokiError.
 */
import { dlopen, getRawPointer } from "node:ffi";

export class CryptokiError extends Error {
  override readonly name = "CryptokiError";
  readonly code: number;

  constructor(call: string, code: number) {
    super(`${call}: ${codes[code] ?? `CKR 0x${code.toString(16)}`}`);
    this.code = code;
  }
}

/** Type and value of an object's attribute. */
export type Attribute = readonly [type: number, value: Uint8Array];

export interface Cryptoki {
  /** Slots that have a token, and what each token calls itself. */
  tokens(): readonly Token[];
  openSession(slot: bigint): bigint;
  login(session: bigint, pin: Uint8Array): void;
  generateKeyPair(
    session: bigint,
    mechanism: number,
    open: readonly Attribute[],
    secret: readonly Attribute[],
  ): KeyPair;
  /** At most two: nobody needs to know how many more there are. */
  find(session: bigint, attributes: readonly Attribute[]): readonly bigint[];
  /** In the order of the types. */
  read(session: bigint, object: bigint, types: readonly number[]): readonly Uint8Array[];
  sign(session: bigint, mechanism: number, key: bigint, bytes: Uint8Array): Uint8Array;
  destroy(session: bigint, object: bigint): void;
  finalize(): void;
}

export interface Token {
  readonly slot: bigint;
  readonly label: string;
  readonly flags: number;
}

export interface KeyPair {
  readonly publicKey: bigint;
  readonly privateKey: bigint;
}

/** More than any attribute or signature of an RSA-4096 key. */
const valueBytesMax = 1024;
const slotsMax = 256;

const ulong = "u64";
const pointer = "pointer";
const functions = {
  C_Initialize: { arguments: [pointer], return: ulong },
  C_Finalize: { arguments: [pointer], return: ulong },
  C_GetSlotList: { arguments: ["u8", pointer, pointer], return: ulong },
  C_GetTokenInfo: { arguments: [ulong, pointer], return: ulong },
  C_OpenSession: { arguments: [ulong, ulong, pointer, pointer, pointer], return: ulong },
  C_Login: { arguments: [ulong, ulong, pointer, ulong], return: ulong },
  C_GenerateKeyPair: {
    arguments: [ulong, pointer, pointer, ulong, pointer, ulong, pointer, pointer],
    return: ulong,
  },
  C_FindObjectsInit: { arguments: [ulong, pointer, ulong], return: ulong },
  C_FindObjects: { arguments: [ulong, pointer, ulong, pointer], return: ulong },
  C_FindObjectsFinal: { arguments: [ulong], return: ulong },
  C_GetAttributeValue: { arguments: [ulong, ulong, pointer, ulong], return: ulong },
  C_SignInit: { arguments: [ulong, pointer, ulong], return: ulong },
  C_Sign: { arguments: [ulong, pointer, ulong, pointer, pointer], return: ulong },
  C_DestroyObject: { arguments: [ulong, ulong], return: ulong },
} as const;

/** @throws when the library cannot be loaded, CryptokiError when it cannot be used. */
export function openCryptoki(path: string): Cryptoki {
  const { functions: ck } = dlopen(path, functions);
  const must = (call: string, code: bigint): void => {
    if (code !== 0n) throw new CryptokiError(call, Number(code));
  };
  // One thread, so without locks.
  must("C_Initialize", ck.C_Initialize(null));
  return {
    tokens() {
      const [slots, count] = [memory(8 * slotsMax), number(slotsMax)];
      must("C_GetSlotList", ck.C_GetSlotList(1, slots, count));
      return Array.from({ length: Number(count.readBigUInt64LE()) }, (_, i) => {
        const slot = slots.readBigUInt64LE(8 * i);
        const info = memory(256);
        must("C_GetTokenInfo", ck.C_GetTokenInfo(slot, info));
        // CK_TOKEN_INFO: the label is padded with blanks; maker, model and serial number stand before the flags.
        return { slot, label: info.toString("utf8", 0, 32).trimEnd(), flags: Number(info.readBigUInt64LE(96)) };
      });
    },
    openSession(slot) {
      const session = memory(8);
      must("C_OpenSession", ck.C_OpenSession(slot, BigInt(rwSession | serialSession), null, null, session));
      return session.readBigUInt64LE();
    },
    login(session, pin) {
      const kept = copy(pin);
      const code = ck.C_Login(session, userType, kept, BigInt(pin.length));
      kept.fill(0);
      if (Number(code) !== alreadyLoggedIn) must("C_Login", code);
    },
    generateKeyPair(session, mechanism, open, secret) {
      const [publicKey, privateKey] = [memory(8), memory(8)];
      const [first, second] = [toTemplate(open), toTemplate(secret)];
      const code = ck.C_GenerateKeyPair(
        session,
        toMechanism(mechanism),
        first.bytes,
        first.count,
        second.bytes,
        second.count,
        publicKey,
        privateKey,
      );
      keepAlive(first, second);
      must("C_GenerateKeyPair", code);
      return { publicKey: publicKey.readBigUInt64LE(), privateKey: privateKey.readBigUInt64LE() };
    },
    find(session, attributes) {
      const template = toTemplate(attributes);
      const [objects, count] = [memory(16), memory(8)];
      const begun = ck.C_FindObjectsInit(session, template.bytes, template.count);
      keepAlive(template);
      must("C_FindObjectsInit", begun);
      const found = ck.C_FindObjects(session, objects, 2n, count);
      must("C_FindObjectsFinal", ck.C_FindObjectsFinal(session));
      must("C_FindObjects", found);
      return Array.from({ length: Number(count.readBigUInt64LE()) }, (_, i) => objects.readBigUInt64LE(8 * i));
    },
    read(session, object, types) {
      const values = types.map(() => memory(valueBytesMax));
      const template = toStructs(types, values);
      const code = ck.C_GetAttributeValue(session, object, template.bytes, template.count);
      keepAlive(template);
      must("C_GetAttributeValue", code);
      return values.map((value, i) => value.subarray(0, Number(template.bytes.readBigUInt64LE(24 * i + 16))));
    },
    sign(session, mechanism, key, bytes) {
      must("C_SignInit", ck.C_SignInit(session, toMechanism(mechanism), key));
      const [signature, length] = [memory(valueBytesMax), number(valueBytesMax)];
      must("C_Sign", ck.C_Sign(session, copy(bytes), BigInt(bytes.length), signature, length));
      return signature.subarray(0, Number(length.readBigUInt64LE()));
    },
    destroy: (session, object) => must("C_DestroyObject", ck.C_DestroyObject(session, object)),
    finalize: () => must("C_Finalize", ck.C_Finalize(null)),
  };
}

/** CK_BBOOL. */
export const yes = Uint8Array.of(1);
export const no = Uint8Array.of(0);

/** CK_ULONG. */
export function number(value: number): Buffer {
  const bytes = memory(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

const serialSession = 4;
const rwSession = 2;
const userType = 1n;
const alreadyLoggedIn = 0x100;

/** Zeros at an address that does not change. */
function memory(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes));
}

function copy(bytes: Uint8Array): Buffer {
  const copied = memory(bytes.length);
  copied.set(bytes);
  return copied;
}

interface Template {
  /** CK_ATTRIBUTE[]: type, address, length, of 8 bytes each. */
  readonly bytes: Buffer;
  readonly count: bigint;
  /** What the addresses point to. */
  readonly values: readonly Buffer[];
}

function toTemplate(attributes: readonly Attribute[]): Template {
  return toStructs(
    attributes.map(([type]) => type),
    attributes.map(([, value]) => copy(value)),
  );
}

function toStructs(types: readonly number[], values: readonly Buffer[]): Template {
  const bytes = memory(24 * values.length);
  for (const [i, value] of values.entries()) {
    bytes.writeBigUInt64LE(BigInt(types[i] ?? 0), 24 * i);
    bytes.writeBigUInt64LE(getRawPointer(value), 24 * i + 8);
    bytes.writeBigUInt64LE(BigInt(value.length), 24 * i + 16);
  }
  return { bytes, count: BigInt(values.length), values };
}

/** CK_MECHANISM without a parameter. */
function toMechanism(mechanism: number): Buffer {
  const bytes = memory(24);
  bytes.writeBigUInt64LE(BigInt(mechanism));
  return bytes;
}

/** Addresses inside a template are not seen by the collector: this is the last use of what they point to. */
function keepAlive(...templates: readonly Template[]): void {
  for (const { values } of templates) for (const value of values) getRawPointer(value);
}

/** What operators have to know by name; PKCS #11 2.40, 11.1. */
const codes: Readonly<Record<number, string>> = {
  0x3: "CKR_SLOT_ID_INVALID",
  0x5: "CKR_GENERAL_ERROR",
  0x6: "CKR_FUNCTION_FAILED",
  0x7: "CKR_ARGUMENTS_BAD",
  0x10: "CKR_ATTRIBUTE_READ_ONLY",
  0x11: "CKR_ATTRIBUTE_SENSITIVE",
  0x12: "CKR_ATTRIBUTE_TYPE_INVALID",
  0x13: "CKR_ATTRIBUTE_VALUE_INVALID",
  0x30: "CKR_DEVICE_ERROR",
  0x31: "CKR_DEVICE_MEMORY",
  0x32: "CKR_DEVICE_REMOVED",
  0x54: "CKR_FUNCTION_NOT_SUPPORTED",
  0x60: "CKR_KEY_HANDLE_INVALID",
  0x63: "CKR_KEY_TYPE_INCONSISTENT",
  0x68: "CKR_KEY_FUNCTION_NOT_PERMITTED",
  0x70: "CKR_MECHANISM_INVALID",
  0x82: "CKR_OBJECT_HANDLE_INVALID",
  0xa0: "CKR_PIN_INCORRECT",
  0xa1: "CKR_PIN_INVALID",
  0xa2: "CKR_PIN_LEN_RANGE",
  0xa3: "CKR_PIN_EXPIRED",
  0xa4: "CKR_PIN_LOCKED",
  0xb0: "CKR_SESSION_CLOSED",
  0xb1: "CKR_SESSION_COUNT",
  0xb3: "CKR_SESSION_HANDLE_INVALID",
  0xb5: "CKR_SESSION_READ_ONLY",
  0xd0: "CKR_TEMPLATE_INCOMPLETE",
  0xd1: "CKR_TEMPLATE_INCONSISTENT",
  0xe0: "CKR_TOKEN_NOT_PRESENT",
  0xe1: "CKR_TOKEN_NOT_RECOGNIZED",
  0xe2: "CKR_TOKEN_WRITE_PROTECTED",
  0x101: "CKR_USER_NOT_LOGGED_IN",
  0x102: "CKR_USER_PIN_NOT_INITIALIZED",
  0x150: "CKR_BUFFER_TOO_SMALL",
  0x190: "CKR_CRYPTOKI_NOT_INITIALIZED",
};
