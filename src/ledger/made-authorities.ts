/** Roots and authorities, the same in every database; and which roots have ever been trusted together. */
import { isKeyAlgorithm } from "../custody/algorithm.ts";
import { Refusal } from "../errors.ts";
import { toBundle, toTrusted } from "./bundle.ts";
import type { Change } from "./made-state.ts";
import { blob, date, integer, member, optionalText, type Row, text } from "./rows.ts";
import {
  type AuthorityChange,
  type AuthorityKind,
  type AuthorityRecord,
  type AuthorityRequest,
  type AuthorityState,
  isUnder,
  type Predecessor,
  type State,
} from "./state.ts";
import { alter, type Stage, type Steps, select } from "./steps.ts";

const kinds: Readonly<Record<AuthorityKind, true>> = {
  hub: true,
  root: true,
  serving: true,
  tenant: true,
  delegating: true,
};
const states: Readonly<Record<AuthorityState, true>> = {
  prepared: true,
  active: true,
  retiring: true,
  retired: true,
  revoked: true,
};

export function authorityState(
  stage: Stage,
  change: Change,
): Pick<State, "authorities" | "addAuthority" | "setAuthorityStates"> {
  return {
    async authorities() {
      return (await stage.query("SELECT * FROM authorities ORDER BY rowid")).map(toAuthority);
    },
    async addAuthority(record, act, follows) {
      await change(act, insertAuthority(record, follows));
    },
    async setAuthorityStates(changes, act) {
      await change(act, setStates(changes));
    },
  };
}

function* insertAuthority(record: AuthorityRecord, follows?: Predecessor): Steps<boolean> {
  const { id, kind, owner, state, algorithm, keyName, certificate, parent, notBefore, notAfter } = record;
  yield* checkAlone(kind, owner, state);
  if (follows !== undefined && (yield* findIn(kind, owner, "active")) !== follows.active)
    throw new Refusal("not-ready", `${kind} ${owner} has another active one by now`);
  yield* noteBundle(kind, owner);
  const values = [id, kind, owner, state, algorithm, keyName, certificate, parent ?? null, +notBefore, +notAfter];
  const added = yield* alter(
    `INSERT INTO authorities (id, kind, owner, state, algorithm, key_name, certificate, parent, not_before, not_after)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ...values,
  );
  if (added === 0) throw new Refusal("not-ready", `the authority ${id} exists`);
  yield* noteBundle(kind, owner);
  return true;
}

export function* setStates(changes: readonly AuthorityChange[]): Steps<boolean> {
  for (const { id, from, to } of changes) {
    const record = yield* findAuthority(id);
    if (record?.state !== from)
      throw new Refusal("not-ready", `the authority ${id} is ${record?.state ?? "not there"}, not ${from}`);
    yield* checkAlone(record.kind, record.owner, to);
    yield* alter("UPDATE authorities SET state = ? WHERE id = ?", to, id);
    yield* noteBundle(record.kind, record.owner);
  }
  return true;
}

export function* findAuthority(id: string): Steps<AuthorityRecord | undefined> {
  const [row] = yield* select("SELECT * FROM authorities WHERE id = ?", id);
  return row === undefined ? undefined : toAuthority(row);
}

/** Which roots the bundle of now holds: an intent says its version alone. */
function* noteBundle(kind: AuthorityKind, owner: string): Steps<void> {
  if (isUnder(kind)) return;
  const rows = yield* select("SELECT * FROM authorities WHERE kind = ? AND owner = ?", kind, owner);
  const generations = rows.map(toAuthority);
  const { version } = toBundle(generations);
  for (const { id } of toTrusted(generations))
    yield* alter("INSERT INTO bundles (version, root) VALUES (?, ?) ON CONFLICT DO NOTHING", version, id);
}

/** Authorities whose certificate somebody else has to sign. */
export function requestState(
  stage: Stage,
  change: Change,
): Pick<State, "authorityRequests" | "addAuthorityRequest" | "answerAuthorityRequest" | "withdrawAuthorityRequest"> {
  function* add({ tenant, id, root, algorithm, csr, validityDays, requestedAt }: AuthorityRequest): Steps<boolean> {
    const added = yield* alter(
      `INSERT INTO authority_requests (tenant, id, root, algorithm, csr, validity_days, requested_at)
       VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      tenant,
      id,
      root,
      algorithm,
      csr,
      validityDays,
      +requestedAt,
    );
    if (added === 0)
      throw new Refusal("not-ready", `an authority of tenant ${tenant} waits for its certificate already`);
    return true;
  }
  function* withdraw(id: string): Steps<boolean> {
    return (yield* alter("DELETE FROM authority_requests WHERE id = ?", id)) > 0;
  }
  function* answer(record: AuthorityRecord): Steps<boolean> {
    if (!(yield* withdraw(record.id))) throw new Refusal("not-ready", `the authority ${record.id} waits for nothing`);
    return yield* insertAuthority(record);
  }
  return {
    async authorityRequests() {
      return (await stage.query("SELECT * FROM authority_requests ORDER BY tenant")).map(toAuthorityRequest);
    },
    async addAuthorityRequest(request, act) {
      await change(act, add(request));
    },
    async answerAuthorityRequest(record, act) {
      await change(act, answer(record));
    },
    async withdrawAuthorityRequest(id, act) {
      return await change(act, withdraw(id));
    },
  };
}

/** No two of one owner sign, and no two are about to. Writes of made state wait for one another. */
function* checkAlone(kind: AuthorityKind, owner: string, state: AuthorityState): Steps<void> {
  if (state !== "prepared" && state !== "active") return;
  const other = yield* findIn(kind, owner, state);
  if (other !== undefined)
    throw new Refusal("not-ready", `${kind} ${owner} has one in state ${state} already: ${other}`);
}

function* findIn(kind: AuthorityKind, owner: string, state: AuthorityState): Steps<string | undefined> {
  const sql = "SELECT id FROM authorities WHERE kind = ? AND owner = ? AND state = ?";
  const [row] = yield* select(sql, kind, owner, state);
  return row && text(row, "id");
}

export function toAuthority(row: Row): AuthorityRecord {
  const parent = optionalText(row, "parent");
  return {
    id: text(row, "id"),
    kind: member(row, "kind", isKind),
    owner: text(row, "owner"),
    state: member(row, "state", isState),
    algorithm: member(row, "algorithm", isKeyAlgorithm),
    keyName: text(row, "key_name"),
    certificate: blob(row, "certificate"),
    ...(parent === undefined ? {} : { parent }),
    notBefore: date(row, "not_before"),
    notAfter: date(row, "not_after"),
  };
}

function toAuthorityRequest(row: Row): AuthorityRequest {
  return {
    id: text(row, "id"),
    tenant: text(row, "tenant"),
    root: text(row, "root"),
    algorithm: member(row, "algorithm", isKeyAlgorithm),
    csr: blob(row, "csr"),
    validityDays: integer(row, "validity_days"),
    requestedAt: date(row, "requested_at"),
  };
}

function isKind(value: string): value is AuthorityKind {
  return Object.hasOwn(kinds, value);
}

function isState(value: string): value is AuthorityState {
  return Object.hasOwn(states, value);
}
