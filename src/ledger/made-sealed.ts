/** CA keys as custody has sealed them: bytes to this database, and none of its business. */
import type { SealedKey } from "../custody/sealing-key.ts";
import { Refusal } from "../errors.ts";
import type { Change } from "./made-state.ts";
import { blob, type Row, text } from "./rows.ts";
import type { State } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

export function sealedState(
  stage: Stage,
  change: Change,
): Pick<State, "sealedKeys" | "sealedKey" | "addSealedKey" | "resealKeys"> {
  return {
    async sealedKeys() {
      return (await stage.query(allSealed)).map(toSealedKey);
    },
    async sealedKey(name) {
      const [row] = await stage.query("SELECT * FROM sealed_keys WHERE name = ?", name);
      return row === undefined ? undefined : toSealedKey(row);
    },
    async addSealedKey(key) {
      // If we stop before this commits, there is no such key; after it, one that signs nothing until a certificate names it.
      await stage.write(add(key));
    },
    async resealKeys(from, to, act) {
      await change(act, reseal(from, to));
    },
  };
}

const allSealed = "SELECT * FROM sealed_keys ORDER BY name";

function* add({ name, spki, sealedBy, sealed }: SealedKey): Steps<void> {
  // An issuer that has not heard of a new sealing key would make one that no other can open.
  const [other] = yield* select("SELECT sealed_by FROM sealed_keys WHERE sealed_by <> ? LIMIT 1", sealedBy);
  if (other !== undefined) {
    const by = text(other, "sealed_by");
    throw new Refusal("config", `the database's keys are sealed by ${by}, and custody.sealed.keyFile is ${sealedBy}`);
  }
  const added = yield* alter(
    "INSERT INTO sealed_keys (name, spki, sealed_by, sealed) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    name,
    spki,
    sealedBy,
    sealed,
  );
  if (added === 0) throw new Refusal("not-ready", `there is a sealed key "${name}" already`);
}

function* reseal(from: string, to: readonly SealedKey[]): Steps<boolean> {
  const there = (yield* select(allSealed)).map(toSealedKey);
  const same = there.length === to.length && there.every((key, i) => key.name === to[i]?.name && key.sealedBy === from);
  if (!same) throw new Refusal("not-ready", "an issuer has made a key meanwhile: run it again");
  for (const { name, sealedBy, sealed } of to) {
    yield* alter("UPDATE sealed_keys SET sealed_by = ?, sealed = ? WHERE name = ?", sealedBy, sealed, name);
  }
  return to.length > 0;
}

function toSealedKey(row: Row): SealedKey {
  return {
    name: text(row, "name"),
    spki: blob(row, "spki"),
    sealedBy: text(row, "sealed_by"),
    sealed: blob(row, "sealed"),
  };
}
