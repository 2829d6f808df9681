/**
 * TokenReview (authentication.k8s.io/v1): the API server judges a token, as for istiod. For clusters whose keys are not to be had.
 * Our own rules are the same as with keys, and come first: what they refuse costs the API server nothing.
 */
import { Refusal } from "../errors.ts";
import type { Client } from "../kube/client.ts";
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "../kube/json.ts";
import { resources, toApiVersion, toPath } from "../kube/resource.ts";
import { type Bound, type ClaimRules, readClaimedAccount, type ServiceAccount } from "../token/account.ts";
import { lookupDeadlineMs } from "./finder.ts";
import { openFlights } from "./flights.ts";

/** @throws Refusal `proof-invalid` when the API server or a rule of ours says no, `unavailable` when the API server says nothing. */
export type Review = (token: string, rules: ClaimRules) => Promise<ServiceAccount>;

/** Whom the API server has authenticated. */
interface Reviewed {
  readonly audiences: readonly unknown[];
  readonly username: string | undefined;
  readonly uid: string | undefined;
  readonly groups: readonly unknown[];
  readonly pod: Bound | undefined;
  readonly node: Bound | undefined;
}

export function openReview(client: Client): Review {
  // A yes serves the same token for that moment: a ztunnel's eight requests at once. A no is nobody else's answer.
  const flights = openFlights<Reviewed>();
  return async (token, rules) => {
    const claimed = readClaimedAccount(token, rules);
    const key = Buffer.from(claimed.tokenSha256).toString("base64url");
    const reviewed = await flights.share(key, async () => await review(client, token, rules.audiences));
    checkSame(claimed, reviewed, rules);
    return claimed;
  };
}

async function review(client: Client, token: string, audiences: readonly string[]): Promise<Reviewed> {
  const reviewed = await ask(client, token, audiences);
  if (reviewed === undefined) throw invalid("the API server does not authenticate it");
  return reviewed;
}

/** Undefined is a no. @throws Refusal `unavailable`. */
async function ask(client: Client, token: string, audiences: readonly string[]): Promise<Reviewed | undefined> {
  const { tokenReviews } = resources;
  const body = { apiVersion: toApiVersion(tokenReviews), kind: tokenReviews.kind, spec: { token, audiences } };
  try {
    // It is stored nowhere, so asking again is always safe.
    const call = { verb: "POST", path: toPath(tokenReviews), body, repeatable: true } as const;
    return readReviewed(await client.call({ ...call, deadlineMs: lookupDeadlineMs }));
  } catch (cause) {
    // Ours, not the caller's: a review that we may not make, or that nobody answers, is never UNAUTHENTICATED.
    throw new Refusal("unavailable", "the Kubernetes API cannot be asked to review a token", { cause });
  }
}

/** @throws Refusal `malformed` for what is no answer. */
function readReviewed(answer: unknown): Reviewed | undefined {
  const status = isRecord(answer) ? answer["status"] : undefined;
  if (!isRecord(status)) throw new Refusal("malformed", "a review without a status");
  // The API server's own no has an error or nothing at all; a yes with an error would be one that nobody understands.
  if (status["authenticated"] !== true || (textAt(status, "error") ?? "") !== "") return undefined;
  const user = recordAt(status, "user");
  const extra = recordAt(user, "extra");
  return {
    audiences: listAt(status, "audiences"),
    username: textAt(user, "username"),
    uid: textAt(user, "uid"),
    groups: listAt(user, "groups"),
    pod: boundAt(extra, "pod"),
    node: boundAt(extra, "node"),
  };
}

/** As kube-apiserver's service-account authenticator says it (apiserver pkg/authentication/serviceaccount). */
function boundAt(extra: JsonRecord, what: "pod" | "node"): Bound | undefined {
  const [name] = listAt(extra, `authentication.kubernetes.io/${what}-name`);
  const [uid] = listAt(extra, `authentication.kubernetes.io/${what}-uid`);
  return typeof name === "string" && typeof uid === "string" ? { name, uid } : undefined;
}

/** What we read out of the token is what the API server read: another authenticator's user is no service account of ours. */
function checkSame(claimed: ServiceAccount, reviewed: Reviewed, { audiences }: ClaimRules): void {
  // An API server that knows nothing of audiences answers with none, or with its own.
  if (!reviewed.audiences.some((one) => typeof one === "string" && audiences.includes(one))) {
    throw invalid("the API server does not take it for an audience of this agent");
  }
  const { namespace, name, uid, pod, node } = claimed;
  const isAccount =
    reviewed.username === `system:serviceaccount:${namespace}:${name}` &&
    reviewed.uid === uid &&
    reviewed.groups.includes("system:serviceaccounts");
  if (!isAccount) throw invalid("the API server takes it for somebody else");
  if (!isSame(pod, reviewed.pod) || (node !== undefined && !isSame(node, reviewed.node))) {
    throw invalid("the API server takes it to be bound to something else");
  }
}

function isSame(one: Bound | undefined, other: Bound | undefined): boolean {
  return one?.name === other?.name && one?.uid === other?.uid;
}

function invalid(why: string): Refusal {
  return new Refusal("proof-invalid", `the token is refused: ${why}`);
}
