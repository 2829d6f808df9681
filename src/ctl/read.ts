/** What a user typed or points at, read so that a mistake is one sentence and never a stack trace. */
import { readFile } from "node:fs/promises";
import { Refusal } from "../errors.ts";

/** @throws Refusal `config`. */
export async function readText(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Refusal("config", `cannot read ${path}`, { cause });
  });
}

/** A whole number not below `least`. @throws Refusal `config`. */
export function readWhole(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new Refusal("config", `${option} is a whole number from ${least}, not "${text}"`);
  return value;
}
