/** Who asks? Only what the issuer itself has verified counts; the agent's word is not among it, but where a rule takes requests. */
import { Refusal } from "../errors.ts";
import { readSpiffeId, workloadOf } from "../identity.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { type Certificate, readCertificate } from "../pki/certificate.ts";
import { verifySignature } from "../pki/chain.ts";
import { readServiceAccount, type ServiceAccount } from "../token/account.ts";
import type { Jwk } from "../token/jwk.ts";
import type { Proven, Shown } from "./item.ts";
import type { ClusterState, World } from "./world.ts";

export interface AuthenticateParts {
  readonly world: () => World;
  readonly ledger: Pick<Ledger, "findSerial">;
  readonly now: () => Date;
}

/** By a promise only where the ledger is asked. @throws Refusal `proof-missing`, `proof-invalid`, `suspended` or `not-this-caller`. */
export function authenticate(shown: Shown, clusterName: string, parts: AuthenticateParts): Proven | Promise<Proven> {
  const world = parts.world();
  // Read again for every request: a suspended or deleted cluster is refused at once, whatever its agent still holds.
  const cluster = world.cluster(clusterName);
  switch (shown.kind) {
    case "token":
      return byToken(shown.token, cluster, parts.now());
    case "certificate":
      return byCertificate(shown.certificate, cluster, world, parts);
    case "impersonated":
      return byImpersonation(shown.token, shown.identity, cluster, parts.now());
    case "serving":
      return { kind: "agent", cluster: cluster.name };
    // Its word is all there is: what a rule for the proof `request` says it may vouch for.
    case "request":
      return { kind: "request", cluster: cluster.name, request: shown.request };
  }
}

/** A token, verified again with the keys of the connection's cluster and no other. */
function verifyToken(token: string, cluster: ClusterState, at: Date): ServiceAccount {
  const { issuer, audiences } = cluster.tokens;
  const keys = tokenKeys(cluster);
  try {
    return readServiceAccount(token, { issuer, audiences, keys, at });
  } catch (error) {
    // The operator's delay and not the caller's fault: asking again helps, once the key is approved.
    if (holds(() => readServiceAccount(token, { issuer, audiences, keys: cluster.proposed(), at })))
      throw new Refusal("unavailable", "the key of the token is proposed and not approved yet");
    throw error;
  }
}

/** @throws Refusal `unavailable` where there are none. */
export function tokenKeys(cluster: ClusterState): readonly Jwk[] {
  const keys = cluster.keys();
  // Ours, not the caller's: UNAUTHENTICATED would not be retried.
  if (keys.length === 0) throw new Refusal("unavailable", "the cluster's token keys have not been had yet");
  return keys;
}

function holds(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/** The workload's own token. */
function byToken(token: string, cluster: ClusterState, at: Date): Proven {
  const account = verifyToken(token, cluster, at);
  return {
    kind: "workload",
    workload: {
      cluster: cluster.name,
      namespace: account.namespace,
      serviceAccount: account.name,
      proof: "token",
      ...(account.pod === undefined ? {} : { pod: account.pod }),
    },
    tokenSha256: account.tokenSha256,
    ...(account.pod === undefined && account.node === undefined ? { renewableSince: at } : {}),
  };
}

/**
 * A ztunnel's own token, for a workload it names. The account must be one that the MeshCluster trusts with that, and the token
 * bound to its pod; that the workload runs on that pod's node only the agent can have seen. The trust domain is judged with
 * the CSR's: policy derives the identity, and neither istiod nor istio-csr looks at it here.
 */
function byImpersonation(token: string, identity: string, cluster: ClusterState, at: Date): Proven {
  const account = verifyToken(token, cluster, at);
  if (!cluster.ztunnelAccounts.includes(`${account.namespace}/${account.name}`)) {
    throw refusedImpersonation(
      `account ${account.namespace}/${account.name} is not one of the cluster's ztunnel accounts`,
    );
  }
  if (account.pod === undefined) throw refusedImpersonation("the token is bound to no pod");
  const name = workloadOf(readSpiffeId(Buffer.from(identity, "utf8")));
  if (name === undefined)
    throw refusedImpersonation("the identity is not spiffe://<trust domain>/ns/<namespace>/sa/<account>");
  const { namespace, serviceAccount } = name;
  return {
    kind: "workload",
    workload: { cluster: cluster.name, namespace, serviceAccount, proof: "impersonated" },
    tokenSha256: account.tokenSha256,
  };
}

function refusedImpersonation(why: string): Refusal {
  return new Refusal("impersonation-refused", `impersonation is refused: ${why}`);
}

/**
 * Renewal by a VM: a certificate that the ledger shows was given to a token without a pod, or renews one that was, in this
 * cluster and within the tenant's limit. That its holder has the key is what the agent's TLS handshake proved.
 */
async function byCertificate(
  der: Uint8Array,
  cluster: ClusterState,
  world: World,
  parts: AuthenticateParts,
): Promise<Proven> {
  const certificate = readShown(der);
  const found = await parts.ledger.findSerial(certificate.serial);
  const intent = found?.intent;
  if (intent === undefined || !Buffer.from(intent.tbs).equals(certificate.tbs))
    throw invalid("the ledger does not have it");
  if (found?.revocation !== undefined) throw invalid("it was revoked");
  const record = world.authorities.records.find((r) => r.id === intent.authority);
  if (record === undefined || record.state === "revoked" || record.state === "retired")
    throw invalid("its authority is not in force");
  if (!verifySignature(certificate, record.certificate)) throw invalid("its signature is wrong");
  const at = parts.now();
  if (at < intent.notBefore || at > intent.notAfter) throw invalid("it has expired");
  if (intent.cluster !== cluster.name) throw invalid("it was given in another cluster");
  if (intent.renewableSince === undefined) throw invalid("it was given to a pod, which renews by its token");
  const tenant = world.declared.tenants.get(intent.log);
  const name = workloadOf(readSpiffeId(Buffer.from(intent.identity, "latin1")));
  if (tenant === undefined || name === undefined) throw invalid("it is no workload's");
  const days = (at.getTime() - intent.renewableSince.getTime()) / 86_400_000;
  if (days > tenant.renewal.unboundDays) {
    throw invalid(
      `its token was shown ${Math.floor(days)} days ago and the limit is ${tenant.renewal.unboundDays}: show a new token`,
    );
  }
  return {
    kind: "workload",
    workload: {
      cluster: cluster.name,
      namespace: name.namespace,
      serviceAccount: name.serviceAccount,
      proof: "certificate",
    },
    renewableSince: intent.renewableSince,
  };
}

function readShown(der: Uint8Array): Certificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    throw invalid("it cannot be read", cause);
  }
}

function invalid(why: string, cause?: unknown): Refusal {
  return new Refusal("proof-invalid", `the client certificate is refused: ${why}`, { cause });
}
