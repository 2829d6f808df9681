/** What has to hold before anything of ours can: the API server, the configuration, the clocks, the rights. */
import { type Right, rightsOf } from "../agent/rights.ts";
import { Refusal } from "../errors.ts";
import { dialHub } from "./agent.ts";
import { fail, ok, skipped, some, type Verdict, warn } from "./verdict.ts";
import type { View } from "./view.ts";

export async function apiServer({ server }: View): Promise<Verdict> {
  try {
    return ok(`Kubernetes ${(await server()).version}`);
  } catch (error) {
    return fail(
      `the API server cannot be asked: ${toWords(error)}`,
      "try the same credentials: kubectl get --raw /version",
    );
  }
}

export async function configuration({ site }: View): Promise<Verdict> {
  try {
    const { config, from } = await site();
    return ok(`cluster "${config.cluster}" of hub "${config.hub}" (${from})`);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code === "unavailable") throw error;
    return fail(
      `the agent's configuration does not hold: ${error.message}`,
      "helm upgrade --install espalier-agent …, or say where the release is with --namespace and --name",
    );
  }
}

/** A token is refused beyond a minute of difference. */
const skewMsMax = 60_000;
const skewMsWorthSaying = 10_000;

export async function clock({ server }: View): Promise<Verdict> {
  return toSkew("the API server's clock", (await server()).aheadMs, "this machine's");
}

export async function hubClock(view: View): Promise<Verdict> {
  const { aheadMs: apiServerMs = 0 } = await view.server();
  for (const { at, aheadMs } of await dialHub(view)) {
    if (aheadMs !== undefined)
      return toSkew(`the clock of the issuer at ${at}`, aheadMs - apiServerMs, "the API server's");
  }
  return skipped("no issuer has said what time it is there");
}

function toSkew(whose: string, ms: number | undefined, other: string): Verdict {
  if (ms === undefined) return skipped(`${whose} cannot be seen`);
  const seconds = Math.ceil(Math.abs(ms) / 1000);
  if (Math.abs(ms) < skewMsWorthSaying) return ok(`${whose} is ${other}, to ${seconds} s`);
  const says = `${whose} is ${seconds} s ${ms > 0 ? "ahead of" : "behind"} ${other}`;
  const fix = "set the clocks of all machines by NTP: tokens and certificates are refused beyond a minute";
  return Math.abs(ms) > skewMsMax ? fail(says, fix) : warn(says, fix);
}

export async function rights(view: View): Promise<Verdict> {
  const { kubernetes } = await view.site();
  const wanted = rightsOf(kubernetes);
  const may = await Promise.all(wanted.map(async (right) => await view.may(right)));
  const missing = wanted.filter((_, at) => may[at] !== true);
  if (missing.length === 0) return ok(`the agent's account has its ${wanted.length} rights`);
  return fail(
    `the agent's account may not ${some(missing.map(toText))}`,
    "helm upgrade espalier-agent … with the same values: templates/rbac.yaml has all of them",
  );
}

function toText({ verb, resource, namespace, name, url }: Right): string {
  const where = namespace === undefined ? "" : ` in ${namespace}`;
  return url === undefined ? `${verb} ${resource}${name === undefined ? "" : ` ${name}`}${where}` : `${verb} ${url}`;
}

export function toWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
