/** What schedules there are. */
import type { Cell } from "./fate.ts";
import { ledgerCells, makeLedgerTemplate, runLedgerSchedule } from "./ledger-schedule.ts";
import { makeTemplates, type Report, runSchedule } from "./schedule.ts";
import { cells } from "./steps.ts";

export const kinds = ["issuer", "ledger"] as const;
export type Kind = (typeof kinds)[number];

/** Each schedule is about one cell, one after the other; so many meet all. */
export const cellsOf: Readonly<Record<Kind, readonly Cell[]>> = { issuer: cells, ledger: ledgerCells };

export interface Runner extends Disposable {
  run(seed: number): Promise<Report>;
}

export function isKind(text: string): text is Kind {
  return kinds.some((kind) => kind === text);
}

export async function openKind(kind: Kind): Promise<Runner> {
  if (kind === "issuer") {
    const templates = await makeTemplates();
    const run = async (seed: number): Promise<Report> => await runSchedule(seed, templates);
    return { run, [Symbol.dispose]: () => templates[Symbol.dispose]() };
  }
  const template = await makeLedgerTemplate();
  const run = async (seed: number): Promise<Report> => await runLedgerSchedule(seed, template);
  return { run, [Symbol.dispose]: () => template[Symbol.dispose]() };
}
