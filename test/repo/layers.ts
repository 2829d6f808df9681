/** Who may import what. Imports point inward: nothing here names a folder that names it back. docs/architecture.md shows the same table. */

export interface Layer {
  /** Folders (or files beside them) that this one may import. */
  readonly imports: readonly string[];
  /** Folders it may know the types of, and nothing that runs. */
  readonly types?: readonly string[];
  /** npm packages that belong to it. */
  readonly packages?: readonly string[];
  /** What it may use of Node. */
  readonly node?: readonly string[];
  /** Files outside src/ that are part of it. */
  readonly outside?: readonly string[];
}

const disk = ["fs", "fs/promises", "path"];

export const layers: Readonly<Record<string, Layer>> = {
  errors: { imports: [] },
  identity: { imports: ["errors"] },
  // The pure core: bytes and values in, bytes and values out. Neither disk nor network is within its reach.
  pki: { imports: ["errors", "identity"], types: ["custody"], packages: ["pkijs", "asn1js"], node: ["crypto"] },
  policy: { imports: ["errors", "identity", "pki"], node: [] },
  token: { imports: ["errors"], node: ["crypto", "fs/promises", "https"] },
  // A token's module is foreign code: it is called in a process of its own, and nowhere else.
  custody: { imports: ["errors"], node: ["child_process", "crypto", "ffi", "url", ...disk] },
  ops: {
    imports: ["errors"],
    packages: ["pino", "prom-client", "yaml", "zod"],
    node: ["crypto", "http", "module", "net", ...disk],
  },
  rpc: {
    imports: ["errors"],
    packages: ["@grpc/grpc-js", "protobufjs"],
    node: ["crypto", "diagnostics_channel", "http2", "net", "stream", "tls"],
  },
  // Kubernetes' API as we use it, and nothing of what we use it for.
  kube: {
    imports: ["errors"],
    types: ["ops"],
    packages: ["@kubernetes/client-node", "yaml"],
    node: ["crypto", "http", "https", "timers/promises", "tls", ...disk],
  },
  resources: {
    imports: ["errors", "identity", "pki", "policy", "token"],
    types: ["custody"],
    packages: ["yaml", "zod"],
    node: ["crypto", "timers/promises", ...disk],
  },
  ledger: {
    imports: ["errors", "custody"],
    types: ["pki"],
    packages: ["pg"],
    node: ["crypto", "sqlite", "timers/promises", ...disk],
  },
  controller: {
    imports: ["errors", "identity", "custody", "ledger", "pki", "resources"],
    node: ["crypto"],
  },
  issuer: {
    imports: [
      "errors",
      "identity",
      "pki",
      "policy",
      "token",
      "custody",
      "ops",
      "rpc",
      "kube",
      "resources",
      "ledger",
      "controller",
    ],
    node: ["crypto", "net", "os", "timers/promises", "util", ...disk],
  },
  // Neither keys, nor ledger, nor rules: an agent has nothing to decide with.
  agent: {
    imports: ["errors", "identity", "pki", "token", "ops", "rpc", "kube"],
    packages: ["zod"],
    node: ["crypto", "os", ...disk],
  },
  // What a person asks who runs agents: reads a cluster and changes nothing.
  checkup: {
    imports: ["errors", "pki", "ops", "kube", "agent"],
    packages: ["yaml"],
    node: ["crypto", "http2"],
  },
  ctl: {
    imports: ["errors", "identity", "pki", "token", "ops", "rpc", "kube", "resources", "issuer", "agent", "checkup"],
    packages: ["commander", "yaml", "zod"],
    node: ["crypto", ...disk],
    outside: ["package.json"],
  },
  main: { imports: ["ctl"], node: ["module", "path"] },
};

export const fileLinesMax = 400;
