/** Everything that is looked at, in the order in which one would mend it: what stands above may be why something below is wrong. */
import { Refusal } from "../errors.ts";
import { hub, leader, readiness, service } from "./agent.ts";
import { apiServer, clock, configuration, hubClock, rights } from "./cluster.ts";
import { certificate, port, signing } from "./istiod.ts";
import { audience, caAddress, clusterName, trustDomain, ztunnelAccount } from "./mesh.ts";
import { roots, serving, trustBundle } from "./roots.ts";
import { skipped, type Verdict } from "./verdict.ts";
import type { View } from "./view.ts";

export interface Check {
  readonly id: string;
  /** Without these there is nothing to look at. */
  readonly needs: readonly string[];
  readonly judge: (view: View) => Promise<Verdict>;
}

const cluster = ["api-server", "configuration"];

export const checks: readonly Check[] = [
  { id: "api-server", needs: [], judge: apiServer },
  { id: "configuration", needs: ["api-server"], judge: configuration },
  { id: "clock", needs: ["api-server"], judge: clock },
  { id: "rights", needs: cluster, judge: rights },
  { id: "hub", needs: cluster, judge: hub },
  { id: "hub-clock", needs: [...cluster, "hub"], judge: hubClock },
  { id: "istiod-signing", needs: cluster, judge: signing },
  { id: "agent", needs: cluster, judge: readiness },
  { id: "leader", needs: cluster, judge: leader },
  { id: "service", needs: cluster, judge: service },
  { id: "serving-certificate", needs: cluster, judge: serving },
  { id: "ca-address", needs: cluster, judge: caAddress },
  { id: "roots", needs: cluster, judge: roots },
  { id: "trust-bundle", needs: cluster, judge: trustBundle },
  { id: "istiod-certificate", needs: cluster, judge: certificate },
  { id: "istiod-port", needs: cluster, judge: port },
  { id: "trust-domain", needs: cluster, judge: trustDomain },
  { id: "cluster-name", needs: cluster, judge: clusterName },
  { id: "audience", needs: cluster, judge: audience },
  { id: "ztunnel-account", needs: cluster, judge: ztunnelAccount },
];

export type Finding = Verdict & { readonly id: string };

export async function runChecks(view: View, all: readonly Check[] = checks): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const { id, needs, judge } of all) {
    const lacking = found.find((one) => needs.includes(one.id) && (one.state === "fail" || one.state === "skipped"));
    const verdict = lacking === undefined ? await judgeOrSkip(judge, view) : skipped(`${lacking.id} comes first`);
    found.push({ id, ...verdict });
  }
  return found;
}

/** What this account may not see, or what does not answer any more, says nothing about what is there. */
async function judgeOrSkip(judge: Check["judge"], view: View): Promise<Verdict> {
  try {
    return await judge(view);
  } catch (error) {
    if (error instanceof Refusal) return skipped(error.message);
    throw error;
  }
}
