/** Gives an account of a real cluster exactly these rights: a ClusterRole for what is everywhere, a Role for each namespace. */
import type { Right } from "../../src/agent/rights.ts";
import { applyObject } from "../../src/kube/apply.ts";
import type { Client } from "../../src/kube/client.ts";
import { deleteObject } from "../../src/kube/objects.ts";
import type { Resource } from "../../src/kube/resource.ts";

const group = { group: "rbac.authorization.k8s.io", version: "v1" } as const;
export const kinds = {
  roles: { ...group, plural: "roles", kind: "Role", namespaced: true },
  roleBindings: { ...group, plural: "rolebindings", kind: "RoleBinding", namespaced: true },
  clusterRoles: { ...group, plural: "clusterroles", kind: "ClusterRole", namespaced: false },
  clusterRoleBindings: { ...group, plural: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false },
} as const satisfies Record<string, Resource>;

export interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** `name` is that of the roles and bindings; disposing takes away those that are in no namespace. */
export async function grantRights(
  client: Client,
  name: string,
  { namespace: home, name: account }: Account,
  rights: readonly Right[],
): Promise<AsyncDisposable> {
  const subjects = [{ kind: "ServiceAccount", name: account, namespace: home }];
  const make = async (resource: Resource, namespace: string | undefined, content: object): Promise<void> => {
    const one = namespace === undefined ? { name } : { namespace, name };
    await applyObject(client, resource, one, { ...content }, { force: true, fieldManager: "test" });
  };
  for (const [namespace, own] of Map.groupBy(rights, (right) => right.namespace)) {
    const [role, binding] =
      namespace === undefined ? [kinds.clusterRoles, kinds.clusterRoleBindings] : [kinds.roles, kinds.roleBindings];
    await make(role, namespace, { rules: own.map(toRule) });
    await make(binding, namespace, { subjects, roleRef: { apiGroup: group.group, kind: role.kind, name } });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      for (const resource of [kinds.clusterRoleBindings, kinds.clusterRoles])
        await deleteObject(client, resource, { name }).catch(() => undefined);
    },
  };
}

function toRule({ verb, group: apiGroup, resource, name, url }: Right): object {
  if (url !== undefined) return { nonResourceURLs: [url], verbs: [verb] };
  const named = name === undefined ? {} : { resourceNames: [name] };
  return { apiGroups: [apiGroup], resources: [resource], verbs: [verb], ...named };
}
