/** What agents say of themselves at /readyz. */
import { Refusal } from "../errors.ts";
import { recordAt, someTextAt, textAt } from "../kube/json.ts";
import { resources } from "../kube/resource.ts";
import { toHostPort } from "../ops/address.ts";
import type { AgentConfig } from "../ops/config.ts";
import type { RawClient } from "./raw.ts";
import type { Release } from "./site.ts";
import type { View } from "./view.ts";

export interface Readiness {
  readonly agent: string;
  /** Empty when it is ready. */
  readonly waitingFor: string;
}

const deadlineMs = 5_000;

/** The agent whose agent.yaml this is, on the machine or in the pod where this runs; undefined if none answers. */
export async function askBeside({ http, cluster }: AgentConfig): Promise<Readiness | undefined> {
  const { port } = toHostPort(http);
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(deadlineMs) });
    return toReadiness(`the agent of ${cluster} at port ${port}`, await answer.text());
  } catch {
    return undefined;
  }
}

/** All of a release, by way of the API server. @throws Refusal, ApiError. */
export async function askPods(
  { http }: AgentConfig,
  { namespace, name }: Release,
  list: View["list"],
  raw: RawClient,
): Promise<readonly Readiness[]> {
  const labelSelector = `app.kubernetes.io/name=espalier-agent,app.kubernetes.io/instance=${name}`;
  const pods = await list({ resource: resources.pods, namespace, labelSelector });
  const running = pods.filter((pod) => textAt(recordAt(pod, "status"), "phase") === "Running");
  const { port } = toHostPort(http);
  const asked = running.map(async (pod) => {
    const agent = someTextAt(recordAt(pod, "metadata"), "name");
    const { status, text } = await raw.get(`/api/v1/namespaces/${namespace}/pods/${agent}:${port}/proxy/readyz`);
    if (status === 403) throw new Refusal("unavailable", "this account may not ask the agents' pods (pods/proxy)");
    return toReadiness(agent, text);
  });
  return await Promise.all(asked);
}

function toReadiness(agent: string, text: string): Readiness {
  const [, waitingFor] = /^waiting for (.*)/.exec(text) ?? [];
  return { agent, waitingFor: text === "ok\n" ? "" : (waitingFor ?? "an answer at /readyz") };
}
