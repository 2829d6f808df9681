import { kubeContract } from "../contract/kube.ts";
import { startMemoryApi } from "../support/kube-memory.ts";

kubeContract("in memory", async () => {
  const api = await startMemoryApi();
  return {
    access: api.access,
    forget: async () => api.store.compact(),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
});
