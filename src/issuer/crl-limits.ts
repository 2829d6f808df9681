/** What revoking does not do, in sentences: said where it is typed. */
import { hubLog } from "../ledger/ledger.ts";
import type { World } from "./world.ts";

const namedMax = 5;

/** Of certificates in these logs. */
export function crlLimits(logs: readonly string[], { declared }: World): string[] {
  const tenants = logs.filter((log) => log !== hubLog).sort();
  const without = tenants.filter((name) => declared.tenants.get(name)?.crl === undefined);
  const limits: string[] = [];
  if (logs.includes(hubLog))
    limits.push(
      "an agent's or an operator's certificate is let in nowhere; one that an issuer or an agent serves with is taken until it ends, for nobody looks that up",
    );
  if (without.length > 0)
    limits.push(
      `${toNames(without)} without CRLs: peers take what is revoked until it ends; only its renewal is refused`,
    );
  if (without.length < tenants.length)
    limits.push(
      "CRLs reach sidecars within minutes; they do not reach gateways, waypoints, or pods that started before there were any",
    );
  return limits;
}

function toNames(tenants: readonly string[]): string {
  const more = tenants.length > namedMax ? ` and ${tenants.length - namedMax} more` : "";
  return `tenant ${tenants.slice(0, namedMax).join(", ")}${more} ${tenants.length > 1 ? "are" : "is"}`;
}
