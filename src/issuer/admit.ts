/**
 * Who may call which of the operators' verbs, and as whom: the one place that says. Handlers read from `act` who calls, and what
 * stands there was put there here.
 */
import { Refusal } from "../errors.ts";
import { operatorOf, readSpiffeId } from "../identity.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { OperatorRecord, State } from "../ledger/state.ts";
import { readCertificate } from "../pki/certificate.ts";
import { isSame } from "../pki/der.ts";
import { sha256 } from "../pki/key.ts";
import type { Admit } from "../rpc/server.ts";
import { isVerb, leastRole, mayCall } from "./roles.ts";
import { type TellParts, tellRefused } from "./tell-refused.ts";

export interface AdmitParts extends TellParts {
  readonly hub: string;
  readonly state: Pick<State, "operator">;
  readonly ledger: Pick<Ledger, "findSerial">;
  readonly now: () => Date;
}

/** On this machine's socket: the file system has said who may, and who it is says the request. */
export const admitSocket: Admit = async (_method, _certificate, request) =>
  withOperator(request, (stated) => (stated === "" ? "" : `unix:${stated}`));

/** From elsewhere: by a certificate of the hub root, and by what stands of its operator in the database at this moment. */
export function admitOperators({ hub, state, ledger, now, ...parts }: AdmitParts): Admit {
  return async (method, certificate, request) => {
    let name: string | undefined;
    try {
      const shown = readOperator(certificate, hub, now());
      name = shown.name;
      const record = await current(shown, state);
      await checkSerial(shown, ledger);
      checkRole(method, record);
      return withOperator(request, () => `operator:${shown.name}`);
    } catch (error) {
      throw tellRefused(error, { method, operator: name }, parts);
    }
  };
}

interface Shown {
  readonly name: string;
  readonly keySha256: Uint8Array;
  readonly serial: Uint8Array;
}

/** TLS has verified it under the hub root. An agent's certificate is nobody here, nor is an issuer's. */
function readOperator(der: Uint8Array | undefined, hub: string, at: Date): Shown {
  if (der === undefined) {
    throw new Refusal(
      "proof-missing",
      "no client certificate that the hub root has signed and that is valid now: `espalier operator create` makes one",
    );
  }
  const { uris, dns, usages, spki, notAfter, serial } = readCertificate(der);
  const [uri, ...rest] = uris;
  const name = uri === undefined ? undefined : operatorOf(hub, readSpiffeId(Buffer.from(uri, "latin1")));
  const callsOnly = usages.includes("clientAuth") && !usages.includes("serverAuth");
  if (name === undefined || rest.length > 0 || dns.length > 0 || !callsOnly)
    throw new Refusal("not-this-caller", "the client certificate is no operator's");
  if (at > notAfter)
    throw new Refusal("proof-invalid", `the operator's certificate has expired at ${notAfter.toISOString()}`);
  return { name, keySha256: sha256(spki), serial };
}

async function current({ name, keySha256 }: Shown, state: AdmitParts["state"]): Promise<OperatorRecord> {
  const record = await state.operator(name);
  if (record === undefined) throw new Refusal("not-this-caller", `there is no operator "${name}"`);
  if (record.revokedAt !== undefined)
    throw new Refusal("not-this-caller", `operator "${name}" was revoked at ${record.revokedAt.toISOString()}`);
  if (!isSame(record.keySha256, keySha256))
    throw new Refusal("not-this-caller", `operator "${name}" has another key: this certificate was replaced`);
  return record;
}

/** Whoever revokes a certificate by its serial number means it, whatever its operator's row says. */
async function checkSerial({ name, serial }: Shown, ledger: AdmitParts["ledger"]): Promise<void> {
  const { revocation } = (await ledger.findSerial(serial)) ?? {};
  if (revocation === undefined) return;
  throw new Refusal(
    "not-this-caller",
    `this certificate of operator "${name}" was revoked at ${revocation.at.toISOString()}`,
  );
}

function checkRole(method: string, { name, role }: OperatorRecord): void {
  if (!isVerb(method)) throw new Refusal("role-missing", `no role may ${method}`);
  if (mayCall(role, method)) return;
  throw new Refusal("role-missing", `${method} needs the role ${leastRole[method]}, and operator "${name}" is ${role}`);
}

/** Where the verb has an act; what it states for itself counts on the socket alone. */
function withOperator(request: unknown, toOperator: (stated: string) => string): unknown {
  if (!hasAct(request)) return request;
  const { operator, reason } = request.act ?? { operator: "", reason: "" };
  return { ...request, act: { operator: toOperator(operator), reason } };
}

/** As the wire's own reader makes it. */
function hasAct(request: unknown): request is { readonly act: { operator: string; reason: string } | null } {
  return typeof request === "object" && request !== null && "act" in request;
}
