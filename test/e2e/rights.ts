/** What an account may do and what it did: the API server's own rules review, and its audit log. */
import { readFile } from "node:fs/promises";
import { run } from "./cluster.ts";

/** What a rule allows, one line for each verb: `verb group/resource name`. */
export async function rightsOf(account: string, namespace: string): Promise<ReadonlySet<string>> {
  const review = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } };
  const args = ["create", "--validate=false", `--as=system:serviceaccount:${account}`, "-o", "json", "-f", "-"];
  const { stdout, stderr, code } = await run("kubectl", args, JSON.stringify(review));
  if (code !== 0) throw new Error(stderr);
  const { status }: { status: { resourceRules: readonly Rule[]; nonResourceRules: readonly Rule[] } } =
    JSON.parse(stdout);
  const rules = [...status.resourceRules, ...status.nonResourceRules];
  return new Set(rules.flatMap((rule) => toLines(rule)));
}

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

function toLines({ verbs, apiGroups = [""], resources, resourceNames = [""], nonResourceURLs }: Rule): string[] {
  const things =
    nonResourceURLs ??
    apiGroups.flatMap((group) =>
      (resources ?? []).flatMap((resource) => resourceNames.map((name) => `${group}/${resource} ${name}`.trim())),
    );
  return verbs.flatMap((verb) => things.map((thing) => `${verb} ${thing}`));
}

interface Audited {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly name?: string };
  readonly responseStatus: { readonly code: number };
}

/** What an account asked the API server for: `verb group/resource`, and with which answers. */
export async function audited(file: string, account: string): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
  const seen = new Map<string, Set<number>>();
  // What follows the last line's end is still being written.
  for (const line of (await readFile(file, "utf8")).split("\n").slice(0, -1)) {
    const { verb, requestURI, user, objectRef, responseStatus }: Audited = JSON.parse(line);
    if (user.username !== `system:serviceaccount:${account}`) continue;
    const thing = objectRef === undefined ? requestURI : `${objectRef.apiGroup ?? ""}/${objectRef.resource}`;
    const codes = seen.get(`${verb} ${thing}`) ?? new Set();
    seen.set(`${verb} ${thing}`, codes.add(responseStatus.code));
  }
  return seen;
}
