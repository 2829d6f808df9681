/** The same answer from documents alone, before any issuer has them. */
import { toBundle } from "../ledger/bundle.ts";
import type { Declared } from "../resources/declared.ts";
import type { ExplainRequest__Output } from "../rpc/gen/espalier/v1/ExplainRequest.ts";
import type { Explanation__Output } from "../rpc/gen/espalier/v1/Explanation.ts";
import type { Authorities } from "./authorities.ts";
import { answerQuestion } from "./explain-verb.ts";
import { toWorld } from "./world.ts";

/** @throws Refusal `malformed`, `not-found` for a question that is none. */
export function answerByDocuments(
  request: ExplainRequest__Output,
  declared: Declared,
  now: () => Date,
): Explanation__Output {
  const world = toWorld({
    hub: "",
    declared,
    authorities: nothingMade,
    authorityRequests: [],
    suspensions: [],
    revokedOwn: new Set(),
    crls: [],
    keysOf: () => [],
    proposedOf: () => [],
  });
  return answerQuestion(request, { world, made: undefined, now });
}

const nothingMade: Authorities = {
  active: () => undefined,
  byId: () => undefined,
  above: (id) => {
    throw new Error(`the documents have no authority ${id}`);
  },
  bundleOf: () => toBundle([]),
  records: [],
};
