/** What an account may do, as the API server itself judges it. */
import type { Right } from "../agent/rights.ts";
import { Refusal } from "../errors.ts";
import type { Client } from "../kube/client.ts";
import { recordAt, textAt } from "../kube/json.ts";
import { deployments } from "./resource.ts";
import type { Release } from "./site.ts";
import type { View } from "./view.ts";

/** Who the agents of a release are. @throws Refusal `not-found`, ApiError. */
export async function accountOf(get: View["get"], release: Release): Promise<string> {
  const deployment = await get(deployments, release);
  if (deployment === undefined) {
    const what = `there is no Deployment ${release.namespace}/${release.name} whose account to look at`;
    throw new Refusal("not-found", what);
  }
  const pod = recordAt(recordAt(recordAt(deployment, "spec"), "template"), "spec");
  return `system:serviceaccount:${release.namespace}:${textAt(pod, "serviceAccountName") ?? "default"}`;
}

/** Of `user`, or of ourselves. @throws ApiError. */
export async function review(client: Client, right: Right, user: string | undefined): Promise<boolean> {
  const { verb, url: path, ...attributes } = right;
  const [resource, subresource] = right.resource.split("/");
  const what =
    path === undefined
      ? { resourceAttributes: { verb, ...attributes, resource, subresource } }
      : { nonResourceAttributes: { verb, path } };
  const [, , namespace] = user?.split(":") ?? [];
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
  const kind = user === undefined ? "SelfSubjectAccessReview" : "SubjectAccessReview";
  const spec = { ...what, ...(user === undefined ? {} : { user, groups }) };
  const answer = await client.call({
    verb: "POST",
    path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
    body: { apiVersion: "authorization.k8s.io/v1", kind, spec },
    repeatable: true,
  });
  return recordAt(answer, "status")["allowed"] === true;
}
