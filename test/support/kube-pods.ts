/** Pods of the size that a mesh's are: a sidecar, settings, notes. What the API server adds by itself is not in them. */
export function toPod(name: string, namespace: string, node: string) {
  const env = Array.from({ length: 10 }, (_, n) => ({ name: `SOME_SETTING_${n}`, value: `value of setting ${n}` }));
  const container = {
    image: "registry.example/team/web:1.2.3",
    env,
    resources: { limits: { cpu: "1", memory: "1Gi" } },
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: "web", version: "v1" }, annotations: { note: "x".repeat(500) } },
    spec: {
      serviceAccountName: "web",
      nodeName: node,
      // Gone with its namespace: there is no kubelet that would end it.
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        { name: "app", ...container },
        { name: "istio-proxy", ...container },
      ],
    },
  };
}
