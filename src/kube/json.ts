/** JSON as it comes from outside, judged member by member: what is read has the type that was asked for, or is refused. */
import { Refusal } from "../errors.ts";

export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The member as a record; empty when there is none. @throws Refusal `malformed` if it is something else. */
export function recordAt(value: unknown, key: string): JsonRecord {
  const member = isRecord(value) ? value[key] : undefined;
  if (member === undefined || member === null) return {};
  if (!isRecord(member)) throw new Refusal("malformed", `${key} must be a record`);
  return member;
}

/** The member as text; undefined when there is none. @throws Refusal `malformed` if it is something else. */
export function textAt(value: JsonRecord, key: string): string | undefined {
  const member = value[key];
  if (member === undefined || member === null) return undefined;
  if (typeof member !== "string") throw new Refusal("malformed", `${key} must be text`);
  return member;
}

/** @throws Refusal `malformed` also if there is none, or an empty one. */
export function someTextAt(value: JsonRecord, key: string): string {
  const text = textAt(value, key);
  if (text === undefined || text === "") throw new Refusal("malformed", `${key} is missing`);
  return text;
}

/** The member as a list; empty when there is none. @throws Refusal `malformed` if it is something else. */
export function listAt(value: unknown, key: string): readonly unknown[] {
  const member = isRecord(value) ? value[key] : undefined;
  if (member === undefined || member === null) return [];
  if (!Array.isArray(member)) throw new Refusal("malformed", `${key} must be a list`);
  return member;
}

/** The texts of a list; empty when there is none. @throws Refusal `malformed` if it is something else. */
export function textsAt(value: unknown, key: string): readonly string[] {
  return listAt(value, key).filter((one) => typeof one === "string");
}

/** The member as a moment; undefined when there is none. @throws Refusal `malformed`. */
export function dateAt(value: JsonRecord, key: string): Date | undefined {
  const text = textAt(value, key);
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new Refusal("malformed", `${key} must be a time: ${text}`);
  return date;
}
