/** What istiod's webhook makes of a pod, asked as an API server asks it. */
import { randomUUID } from "node:crypto";
import https from "node:https";
import { isRecord, type JsonRecord, listAt, recordAt, someTextAt, textAt } from "../../src/kube/json.ts";
import type { Istiod } from "./istio.ts";
import type { Workload } from "./stage.ts";

export interface Injected {
  /** Of the proxy's container, as far as they have values there. */
  readonly env: Readonly<Record<string, string>>;
  /** Of the pod, by name. */
  readonly volumes: Readonly<Record<string, JsonRecord>>;
}

/** The webhook's certificate is verified, under the roots that a webhook configuration would name. */
export async function inject(istiod: Istiod, rootsPem: string, workload: Workload): Promise<Injected> {
  const { namespace, account: serviceAccountName, pod: name } = workload;
  const spec = { serviceAccountName, containers: [{ name: "main", image: "none" }] };
  const object = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace }, spec };
  const request = { uid: randomUUID(), operation: "CREATE", namespace, object };
  const review = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
  const answer = recordAt(await post(istiod, rootsPem, JSON.stringify(review)), "response");
  const patch: unknown = JSON.parse(Buffer.from(someTextAt(answer, "patch"), "base64").toString("utf8"));
  const added = [...within(patch)];
  const proxy = added.find((one) => one["name"] === "istio-proxy" && "env" in one);
  const pairs = listAt(proxy, "env").filter(isRecord);
  return {
    env: Object.fromEntries(pairs.map((one) => [someTextAt(one, "name"), textAt(one, "value") ?? ""])),
    volumes: Object.fromEntries(
      added.filter((one) => "name" in one && !("mountPath" in one)).map((one) => [String(one["name"]), one]),
    ),
  };
}

async function post({ webhooks, servingName }: Istiod, ca: string, body: string): Promise<unknown> {
  const options = { host: "127.0.0.1", port: webhooks, path: "/inject", method: "POST", ca, servername: servingName };
  const headers = { "content-type": "application/json" };
  const answer = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
    https
      .request({ ...options, headers, timeout: 60_000 }, resolve)
      .once("error", reject)
      .end(body);
  });
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

/** All records in a value, whatever holds them. */
function* within(value: unknown): Generator<JsonRecord> {
  if (Array.isArray(value)) for (const one of value) yield* within(one);
  if (!isRecord(value)) return;
  yield value;
  for (const one of Object.values(value)) yield* within(one);
}
