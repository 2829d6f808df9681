/** What operators decide about themselves and about the database: who each is and may be, and which history is given up. */
import { Refusal } from "../errors.ts";
import type { Change } from "./made-state.ts";
import { blob, date, optionalInteger, type Row, text } from "./rows.ts";
import { type OperatorRecord, operatorRoles, type State } from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

/** See mark.ts. */
export function adoptionState(change: Change): Pick<State, "adopt"> {
  function* adopt(lostUntil: Date, epoch: number): Steps<boolean> {
    yield* alter("UPDATE adoption SET lost_until = ?", +lostUntil);
    yield* alter("UPDATE epochs SET epoch = ? WHERE epoch < ?", epoch, epoch);
    return true;
  }
  return {
    async adopt(lostUntil, epoch, act) {
      await change(act, adopt(lostUntil, epoch));
    },
  };
}

export function operatorState(
  stage: Stage,
  change: Change,
): Pick<State, "operators" | "operator" | "setOperator" | "revokeOperator"> {
  return {
    async operators() {
      return (await stage.query("SELECT * FROM operators ORDER BY name")).map(toOperator);
    },
    async operator(name) {
      const [row] = await stage.query(byName, name);
      return row === undefined ? undefined : toOperator(row);
    },
    async setOperator(record, act) {
      await change(act, set(record));
    },
    async revokeOperator(name, at, act) {
      return await change(act, revoke(name, at));
    },
  };
}

const byName = "SELECT * FROM operators WHERE name = ?";

function* set({ name, role, keySha256, madeAt, revokedAt }: OperatorRecord): Steps<boolean> {
  const values = [name, role, keySha256, +madeAt, revokedAt === undefined ? null : +revokedAt];
  yield* alter(
    `INSERT INTO operators (name, role, key_sha256, made_at, revoked_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET role = excluded.role, key_sha256 = excluded.key_sha256,
       made_at = excluded.made_at, revoked_at = excluded.revoked_at`,
    ...values,
  );
  return true;
}

function* revoke(name: string, at: Date): Steps<boolean> {
  const [row] = yield* select(byName, name);
  if (row === undefined)
    throw new Refusal("not-found", `there is no operator "${name}": \`espalier operator list\` shows who there is`);
  return (yield* alter("UPDATE operators SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", +at, name)) > 0;
}

function toOperator(row: Row): OperatorRecord {
  const [stored, revoked] = [text(row, "role"), optionalInteger(row, "revoked_at")];
  const role = operatorRoles.find((one) => one === stored);
  if (role === undefined) throw new Error(`column role has ${stored}, which this binary does not know`);
  return {
    name: text(row, "name"),
    role,
    keySha256: blob(row, "key_sha256"),
    madeAt: date(row, "made_at"),
    ...(revoked === undefined ? {} : { revokedAt: new Date(revoked) }),
  };
}
