/** `Explain` on the wire: a question read, and what is known of it, for whoever may look. */
import { Refusal } from "../errors.ts";
import type { Candidate } from "../policy/candidates.ts";
import type { ConsideredRule__Output } from "../rpc/gen/espalier/v1/ConsideredRule.ts";
import type { ExplainRequest__Output } from "../rpc/gen/espalier/v1/ExplainRequest.ts";
import type { Explanation__Output } from "../rpc/gen/espalier/v1/Explanation.ts";
import { type Explained, type ExplainParts, explain, type Question, workloadProofs } from "./explain.ts";
import { label, objectName, readObjectRequest } from "./object-request.ts";
import type { World } from "./world.ts";

/** @throws Refusal `malformed` for a question that is none. */
export function answerQuestion(request: ExplainRequest__Output, parts: ExplainParts): Explanation__Output {
  return toExplanation(explain(readQuestion(request, parts.world), parts));
}

function readQuestion({ cluster, signer, validitySeconds, ...asks }: ExplainRequest__Output, world: World): Question {
  const common = { cluster: cluster === "" ? onlyCluster(world) : cluster, signer, validitySeconds };
  switch (asks.who) {
    case "workload": {
      const { namespace = "", serviceAccount = "", proof = "", identity = "" } = asks.workload ?? {};
      if (!label.test(namespace) || !objectName.test(serviceAccount))
        throw new Refusal("malformed", "a workload is named by a namespace and a service account, and these are none");
      const known = workloadProofs.find((one) => one === (proof === "" ? "token" : proof));
      if (known === undefined)
        throw new Refusal(
          "malformed",
          `the proof of a workload is one of ${workloadProofs.join(", ")}, not "${proof}"`,
        );
      return { ...common, who: { kind: "workload", namespace, serviceAccount, proof: known, identity } };
    }
    case "object": {
      const { csr = new Uint8Array(), request } = asks.object ?? {};
      return { ...common, who: { kind: "object", csr, request: readObjectRequest(request) } };
    }
    default:
      throw new Refusal("malformed", "say who asks: a workload, or an object");
  }
}

function onlyCluster({ declared }: World): string {
  const [only, ...others] = declared.clusters.keys();
  if (only !== undefined && others.length === 0) return only;
  const names = [...declared.clusters.keys()].slice(0, 10).join(", ");
  throw new Refusal("not-found", only === undefined ? "no cluster is declared" : `say which cluster: ${names}`);
}

function toExplanation(explained: Explained): Explanation__Output {
  const { cluster, refusal, fixes, proof, identity, validitySeconds, authority, candidates, notes } = explained;
  const winner = candidates.find(({ state }) => state === "decides");
  return {
    cluster,
    granted: refusal === undefined,
    code: refusal?.code ?? "",
    message: refusal?.message ?? "",
    fixes: [...fixes],
    tenant: winner?.tenant ?? "",
    rule: winner === undefined ? "" : toName(winner),
    proof,
    identity,
    validitySeconds,
    authority,
    rules: candidates.map(toRule),
    notes: [...notes],
  };
}

function toRule(candidate: Candidate): ConsideredRule__Output {
  const { state, beatenBy, lacks, rule } = candidate;
  return {
    name: toName(candidate),
    state,
    beatenBy: [...beatenBy],
    lacks: [...lacks],
    clusters: [...rule.clusters],
    namespaces: [...rule.namespaces],
    serviceAccounts: [...rule.serviceAccounts],
    proofs: [...rule.proofs],
  };
}

function toName({ tenant, rule }: Candidate): string {
  return `${tenant}/${rule.name}`;
}
