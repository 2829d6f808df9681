/** The verbs that make operators: a name, a role and one key. The key never comes here; what does is a CSR, which shows that there is one. */
import { Refusal } from "../errors.ts";
import { operatorId } from "../identity.ts";
import { hubLog } from "../ledger/ledger.ts";
import { type OperatorRecord, type OperatorRole, operatorRoles } from "../ledger/state.ts";
import type { Metrics } from "../ops/metrics.ts";
import { type Csr, readCsr, verifyCsr } from "../pki/csr.ts";
import { isSame } from "../pki/der.ts";
import { sha256 } from "../pki/key.ts";
import { profiles } from "../pki/profile.ts";
import type { CreateOperatorRequest__Output } from "../rpc/gen/espalier/v1/CreateOperatorRequest.ts";
import type { Operator } from "../rpc/gen/espalier/v1/Operator.ts";
import type { OperatorCertificate } from "../rpc/gen/espalier/v1/OperatorCertificate.ts";
import type { OperatorChange } from "../rpc/gen/espalier/v1/OperatorChange.ts";
import type { RevokeOperatorRequest__Output } from "../rpc/gen/espalier/v1/RevokeOperatorRequest.ts";
import { type AdminParts, readBy } from "./admin.ts";
import { issueOwn } from "./own.ts";

export interface OperatorParts extends AdminParts {
  readonly metrics: Metrics;
}

const daySeconds = 86_400;
const daysDefault = 30;
const daysMax = profiles.operator.validitySecondsCap / daySeconds;
/** One segment of a SPIFFE ID, and short enough for a log line. */
const nameGrammar = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/;

/** Repeating it makes a new certificate. Another key or role takes the place of the one before, at once. */
export async function createOperator(
  request: CreateOperatorRequest__Output,
  parts: OperatorParts,
): Promise<OperatorCertificate> {
  const by = readBy(request.act);
  const { name, role, csr, days } = readOrder(request, parts);
  const keySha256 = sha256(csr.spki);
  const before = await parts.state.operator(name);
  const changed = before?.role !== role || before.revokedAt !== undefined || !isSame(before.keySha256, keySha256);
  const record = changed ? { name, role, keySha256, madeAt: parts.now() } : before;
  if (request.dryRun) return { operator: toOperator(record), changed };
  if (changed) {
    const details = { name, role, keySha256: toHex(keySha256), days: String(days) };
    // If we stop after this, the key has its role, and nobody a certificate for it: the same verb again makes one.
    await parts.state.setOperator(record, { log: hubLog, verb: "create-operator", ...by, details });
  }
  const world = parts.live.world();
  const { leaf, chain, intent } = await issueOwn(
    {
      profile: "operator",
      cluster: "",
      names: { uri: operatorId(world.hub, name), dns: [] },
      validitySeconds: days * daySeconds,
      rule: `@hub/operator/${name}`,
      proof: by.operator,
      spki: csr.spki,
    },
    world,
    parts,
  );
  parts.metrics.issued({ tenant: hubLog, cluster: "", profile: "operator" });
  parts.log.info("operator certificate made", { name, role, serial: toHex(intent.serial), operator: by.operator });
  return {
    operator: toOperator(record),
    changed,
    certificate: leaf,
    hubRoots: [...chain.bundle.roots],
    notAfter: intent.notAfter.toISOString(),
  };
}

/** Holds from this moment on, on every replica: each call reads the row. */
export async function revokeOperator(
  { act, name }: RevokeOperatorRequest__Output,
  parts: AdminParts,
): Promise<OperatorChange> {
  const by = readBy(act);
  const written = { log: hubLog, verb: "revoke-operator", ...by, details: { name } };
  // If we stop before this commits, the operator may what it might.
  const changed = await parts.state.revokeOperator(name, parts.now(), written);
  if (changed) parts.log.info("operator revoked", { name, operator: by.operator });
  return { name, changed };
}

export function toOperator({ name, role, keySha256, madeAt, revokedAt }: OperatorRecord): Operator {
  return {
    name,
    role,
    keySha256: toHex(keySha256),
    madeAt: madeAt.toISOString(),
    revokedAt: revokedAt?.toISOString() ?? "",
  };
}

interface Order {
  readonly name: string;
  readonly role: OperatorRole;
  readonly csr: Csr;
  readonly days: number;
}

function readOrder(request: CreateOperatorRequest__Output, { live }: AdminParts): Order {
  const { name, days } = request;
  if (!nameGrammar.test(name))
    throw new Refusal("malformed", 'an operator\'s name is 1 to 63 of a-z, 0-9 and, inside, ".", "_", "-"');
  const role = operatorRoles.find((one) => one === request.role);
  if (role === undefined) throw new Refusal("malformed", `a role is one of ${operatorRoles.join(", ")}`);
  if (days > daysMax) throw new Refusal("malformed", `an operator's certificate lives at most ${daysMax} days`);
  const csr = readCsr(request.csr);
  verifyCsr(csr);
  if (csr.identity !== undefined && csr.identity !== operatorId(live.world().hub, name))
    throw new Refusal("identity-denied", `the CSR names ${csr.identity}`);
  return { name, role, csr, days: days === 0 ? daysDefault : days };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
