/**
 * What becomes of one object that asks for a certificate, and why: in the order in which the agent looks at it, by the agent's own
 * judgement of what is there now, and at last by what the hub says.
 */
import { type DoorName, toItem } from "../agent/request-item.ts";
import type { KnownIssuer, Step } from "../agent/request-step.ts";
import {
  type IssuerName,
  issuerResources,
  readTenantIssuer,
  saidOf,
  type TenantIssuer,
} from "../agent/tenant-issuer.ts";
import { Refusal } from "../errors.ts";
import { isRecord, type JsonRecord, listAt, recordAt, textAt } from "../kube/json.ts";
import { readMeta } from "../kube/meta.ts";
import type { One } from "../kube/objects.ts";
import { type Resource, resources } from "../kube/resource.ts";
import { toNameText } from "../pki/general-name.ts";
import type { Check } from "./checks.ts";
import { fail, ok, skipped, some, type Verdict } from "./verdict.ts";
import type { View } from "./view.ts";

/** One object, and what is its kind's own. */
export interface Subject {
  readonly door: DoorName;
  readonly resource: Resource;
  readonly one: One;
  /** Whether it is there, and asks anything of ours. */
  found(object: JsonRecord | undefined): Verdict;
  /** What has been said of it. */
  status(object: JsonRecord): Verdict;
  isIssued(object: JsonRecord): boolean;
  issuer(object: JsonRecord): IssuerName | undefined;
  /** What the agent would do with it. @throws Refusal, ApiError where something cannot be seen. */
  decide(object: JsonRecord, known: KnownIssuer, view: View): Promise<Step>;
  /** Of what the agent leaves alone. */
  unapproved(object: JsonRecord): Verdict;
}

export type AskHub = (item: ReturnType<typeof toItem>) => Promise<Verdict>;

export function objectChecks(subject: Subject, askHub: AskHub): readonly Check[] {
  const find = async (view: View): Promise<JsonRecord | undefined> => await view.get(subject.resource, subject.one);
  /** Of what is there, and needs anything. */
  const judge =
    (how: (object: JsonRecord, view: View) => Promise<Verdict>): Check["judge"] =>
    async (view) => {
      const object = await find(view);
      if (object === undefined) throw new Refusal("not-found", "it is not there any more");
      return subject.isIssued(object) ? skipped("nothing is left to do") : await how(object, view);
    };
  const decide = async (object: JsonRecord, view: View): Promise<Step> => {
    const named = subject.issuer(object);
    const issuer = named && (await findIssuer(view, named));
    return await subject.decide(anew(object), { issuer, readinessOf: saidOf }, view);
  };
  return [
    { id: "request", needs: [], judge: async (view) => subject.found(await find(view)) },
    {
      id: "status",
      needs: ["request"],
      judge: async (view) => {
        const object = await find(view);
        return object === undefined ? skipped("it is not there any more") : subject.status(object);
      },
    },
    {
      id: "agent",
      needs: ["request"],
      judge: judge(async (object, view) => await toVerdict(await decide(object, view), subject, object, view)),
    },
    {
      id: "hub",
      needs: ["request", "agent"],
      judge: judge(async (object, view) => {
        const step = await decide(object, view);
        if (step.kind !== "sign") throw new Error("the agent would not ask");
        return await askHub(toItem(subject.door, readMeta(object), step));
      }),
    },
  ];
}

/** By the Event that the agent would write. */
const fixes: Readonly<Record<string, string>> = {
  NamespaceNotGuarded:
    "let cert-manager's webhook stand guard there (no label cert-manager.io/disable-validation, failurePolicy Fail), and make another request",
  Denied: "ask whoever denied it (approver-policy: kubectl get certificaterequestpolicies), and make another request",
  InvalidRequest: "make another request, whose CSR is as the message says",
  IssuerNotForNamespace: "ask through a TenantClusterIssuer whose spec.namespaces names the namespace",
  IssuerNotReady: "kubectl describe that issuer: its condition Ready says what to do",
  NamespaceNotFound: "nothing: the namespace is being made",
  NoServiceAccount: "let a ServiceAccount of the namespace make it: kubectl create --as system:serviceaccount:…",
};

async function toVerdict(step: Step, subject: Subject, object: JsonRecord, view: View): Promise<Verdict> {
  switch (step.kind) {
    case "sign": {
      const names = step.csr.names.map(toNameText);
      return ok(`asks the hub for MeshTenant "${step.tenant}"${names.length > 0 ? `: ${some(names)}` : ""}`);
    }
    case "none":
      return subject.unapproved(object);
    case "wait":
    case "end": {
      const issuer = step.event === "IssuerNotFound" ? subject.issuer(object) : undefined;
      return fail(step.message, issuer === undefined ? (fixes[step.event] ?? "") : await whereIs(view, issuer));
    }
  }
}

/** A TenantIssuer is for its own namespace, and one of the same name in another is easily meant. */
async function whereIs(view: View, { kind, name }: IssuerName): Promise<string> {
  const make = `make it (kubectl explain ${kind.toLowerCase()}.spec), or name one that is there: kubectl get espalier -A`;
  if (kind === "TenantClusterIssuer") return make;
  const all = await view.list({ resource: resources.tenantIssuers }).catch((error: unknown) => {
    if (error instanceof Refusal) return [];
    throw error;
  });
  const others = all
    .map((one): TenantIssuer => readTenantIssuer(kind, one))
    .filter((one) => one.name === name)
    .map(({ namespace }) => namespace);
  return others.length === 0
    ? make
    : `${make}; that of namespace ${some(others)} is for its own alone: a TenantClusterIssuer is for those it names`;
}

/** @throws Refusal, ApiError. */
async function findIssuer(view: View, { kind, namespace, name }: IssuerName): Promise<TenantIssuer | undefined> {
  if (name === "") return undefined;
  const found = await view.get(issuerResources[kind], namespace === "" ? { name } : { namespace, name });
  return found && readTenantIssuer(kind, found);
}

/** As though nobody had said anything about it but whoever approves. */
function anew(object: JsonRecord): JsonRecord {
  const conditions = listAt(recordAt(object, "status"), "conditions").filter(
    (one) => isRecord(one) && ["Approved", "Denied"].includes(textAt(one, "type") ?? ""),
  );
  return { ...object, status: { conditions } };
}
