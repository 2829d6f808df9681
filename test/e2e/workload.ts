/** Pods of a mesh, what they are given, and what they are refused. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { toScript } from "../../build.ts";
import { apply, type Finished, inPod, kubectl } from "./cluster.ts";
import type { Seen } from "./load.ts";
import { image } from "./release.ts";

export const mounted = "/var/run/secrets/tokens/istio-token";
export const rootConfigMap = "istio-ca-root-cert";

export function namespace(name: string): string {
  return `{apiVersion: v1, kind: Namespace, metadata: {name: ${name}}}`;
}

/** The namespace enforces Kubernetes' strictest profile of pods. */
export async function restrict(name: string): Promise<void> {
  await kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted");
}

export async function start(...pods: readonly string[]): Promise<void> {
  const named = pods.map((pod) => pod.split("/"));
  for (const [in_ = "", name = ""] of named) await apply(workload(in_, name, image));
  for (const [in_ = "", name = ""] of named)
    await kubectl("-n", in_, "wait", "--for=condition=Ready", `pod/${name}`, "--timeout=300s");
}

/** What `espalier request` says in a workload's pod. */
export async function request(agent: string, pod: string, ...options: readonly string[]): Promise<Finished> {
  const [from = "", name = ""] = pod.split("/");
  const trust = ["--ca", "/var/run/secrets/istio/root-cert.pem", "--token-file", mounted];
  const where = ["--agent", agent, "--out", "/out", "-o", "json", "--trust-domain", "shop.example"];
  return await inPod(from, name, ["node", "/app/dist/main.js", "request", ...where, ...trust, ...options]);
}

export function given({ code, stdout, stderr }: Finished, identity: string): void {
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).identity, identity);
}

export function refused({ code, stderr }: Finished, why: RegExp): void {
  assert.notEqual(code, 0);
  assert.match(stderr, why);
}

export async function rootsIn(name: string, configMap = rootConfigMap): Promise<string> {
  return await kubectl("-n", name, "get", "configmap", configMap, "-o", "jsonpath={.data.root-cert\\.pem}");
}

/** Pod shop/frontend asks `agent` for that many seconds, from before `act`; nothing may fail but what comes right when asked again. */
export async function underLoad(agent: string, act: () => Promise<unknown>, seconds: number): Promise<void> {
  const load = await toScript(fileURLToPath(new URL("load.ts", import.meta.url)));
  const identity = "spiffe://shop.example/ns/shop/sa/frontend";
  const command = ["node", "--input-type=module", "-"];
  const going = inPod("shop", "frontend", [...command, agent, identity, String(seconds)], load);
  await act();
  const { code, stdout, stderr } = await going;
  assert.equal(code, 0, stderr);
  const last = stdout.trim().split("\n").at(-1) ?? "";
  const seen: Seen = JSON.parse(last);
  console.log(last);
  assert.deepEqual(seen.failed, []);
  assert.ok(seen.given > seconds / 4, stdout);
}

/** A pod as a mesh's: a token for the CA, the distributed root, and nothing else. It waits to be told what to do. */
function workload(namespace: string, account: string, image: string): string {
  return `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${account}, namespace: ${namespace} }
---
apiVersion: v1
kind: Pod
metadata: { name: ${account}, namespace: ${namespace} }
spec:
  serviceAccountName: ${account}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 1
  securityContext: { runAsNonRoot: true, runAsUser: 1000 }
  containers:
    - name: app
      image: ${image}
      imagePullPolicy: IfNotPresent
      command: [node, -e, "setInterval(() => {}, 1e6)"]
      env: [{ name: HOME, value: /out }]
      volumeMounts:
        - { name: token, mountPath: /var/run/secrets/tokens }
        - { name: root, mountPath: /var/run/secrets/istio }
        - { name: out, mountPath: /out }
  volumes:
    - { name: out, emptyDir: {} }
    - { name: root, configMap: { name: istio-ca-root-cert } }
    - name: token
      projected:
        sources: [{ serviceAccountToken: { audience: istio-ca, expirationSeconds: 43200, path: istio-token } }]
`;
}
