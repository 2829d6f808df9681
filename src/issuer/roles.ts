/** What an operator's role may: one closed table. What has no row is nobody's, and does not compile. */
import { type OperatorRole, operatorRoles } from "../ledger/state.ts";
import type { AdminDefinition } from "../rpc/gen/espalier/v1/Admin.ts";

/** The verbs by name alone; the definition's own index takes any string. */
export type Verb = keyof { [K in keyof AdminDefinition as string extends K ? never : K]: K };

/** The least role that may call it: viewers look, operators do what can be undone, admins what cannot. */
export const leastRole: Readonly<Record<Verb, OperatorRole>> = {
  CreateRoot: "admin",
  ListRoots: "viewer",
  RotateRoot: "admin",
  ListRotations: "viewer",
  HoldRotation: "operator",
  ContinueRotation: "admin",
  RollBackRotation: "admin",
  ListTenants: "viewer",
  ListClusters: "viewer",
  CreateJoinToken: "operator",
  ListClusterKeys: "viewer",
  ApproveClusterKeys: "operator",
  RejectClusterKeys: "operator",
  RemoveClusterKeys: "operator",
  SetSuspended: "operator",
  ListEntries: "viewer",
  ShowEntry: "viewer",
  VerifyLedger: "viewer",
  CreateOperator: "admin",
  BringRoot: "admin",
  ImportAuthority: "admin",
  ListAuthorities: "viewer",
  TakeAuthority: "admin",
  ListOperators: "viewer",
  RevokeOperator: "admin",
  Revoke: "admin",
  ListRevocations: "viewer",
  BringCrl: "admin",
  BlastRadius: "viewer",
  Explain: "viewer",
};

export function isVerb(method: string): method is Verb {
  return Object.hasOwn(leastRole, method);
}

export function mayCall(role: OperatorRole, verb: Verb): boolean {
  return operatorRoles.indexOf(role) >= operatorRoles.indexOf(leastRole[verb]);
}
