/** A hub's and one cluster's files in one folder, as `init` and an operator leave them: for issuers on one PostgreSQL and agents, as processes. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTokenIssuer, type TokenIssuer } from "./kubernetes.ts";
import { password } from "./postgres.ts";
import { espalier, type Finished } from "./processes.ts";

export const groundHub = "hub.example";
/** What agents serve with. */
export const groundServingName = "localhost";
export const groundTrustDomain = "shop.example";

const resources = `
apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: main }
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: shop }
spec:
  trustDomain: ${groundTrustDomain}
  root: main
  rules: [{ name: pods, clusters: [east], namespaces: [shop] }]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata: { name: bank }
spec:
  trustDomain: bank.example
  root: main
  rules: [{ name: pods, clusters: [east], namespaces: [bank] }]
---
apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata: { name: east }
spec:
  tokens: { issuer: "https://east.example", keys: { jwksFile: east.json } }
  servingNames: [${groundServingName}]
`;

export interface Ground {
  /** A path below its folder. */
  at(...names: readonly string[]): string;
  /** The cluster's token issuer. */
  readonly east: TokenIssuer;
  /** Writes the configuration of an issuer and returns its file. The first one's is the hub's own. */
  issuer(name: string, port: number): Promise<string>;
  /** Writes the configuration of an agent and returns its file. With nothing else to go by, it takes the first of its issuers. */
  agent(name: string, port: number, issuers: readonly number[], more?: string): Promise<string>;
  /** Makes the hub; `first` is the name of an issuer whose configuration is there. */
  init(first: string): Promise<void>;
  /** Makes the roots, through an issuer that runs. */
  createRoots(issuer: string): Promise<void>;
  /** A verb that has to succeed, through an issuer's socket. */
  say(issuer: string, ...verb: readonly string[]): Promise<Finished>;
  /** A workload's token. */
  token(serviceAccount: string): string;
}

export interface GroundConfig {
  readonly directory: string;
  /** Where PostgreSQL is, as issuers see it. */
  readonly port: number;
  readonly database: string;
  readonly synchronousStandby: boolean;
  /** Whose command line makes the hub; ours by default. */
  readonly main?: string;
}

export async function layGround(config: GroundConfig): Promise<Ground> {
  const { directory, port: databasePort, database, synchronousStandby, main } = config;
  const at = (...names: readonly string[]): string => join(directory, ...names);
  const east = createTokenIssuer("https://east.example", generateKeyPairSync("ec", { namedCurve: "P-256" }));
  const account = { namespace: "espalier-system", serviceAccount: "espalier-agent", audience: `espalier:${groundHub}` };
  await mkdir(at("hub", "resources"), { recursive: true, mode: 0o700 });
  await writeFile(at("hub", "database-password"), `${password}\n`, { mode: 0o600 });
  await writeFile(at("agent.token"), east.token(account));
  await writeFile(at("east.json"), JSON.stringify(east.jwks));
  let hubFile: string | undefined;
  const say: Ground["say"] = async (issuer, ...verb) => {
    const said = await espalier(verb, { ESPALIER_ADMIN_SOCKET: at("hub", `${issuer}.sock`), USER: "ada" }, main);
    assert.equal(said.code, 0, `${verb.join(" ")}: ${said.stderr}`);
    return said;
  };
  return {
    at,
    east,
    say,
    issuer: async (name, port) => {
      const file = hubFile === undefined ? at("hub", "issuer.yaml") : at("hub", `${name}.yaml`);
      hubFile ??= file;
      await writeFile(
        file,
        `hub: ${groundHub}
listen: 127.0.0.1:${port}
http: 127.0.0.1:0
adminSocket: ${name}.sock
database: postgres://espalier@127.0.0.1:${databasePort}/${database}
postgres:
  passwordFile: database-password
  tls: false
  synchronousStandby: ${synchronousStandby}
`,
      );
      return file;
    },
    agent: async (name, port, issuers, more = "") => {
      const file = at(`${name}.yaml`);
      await writeFile(
        file,
        `hub: ${groundHub}
cluster: east
listen: 127.0.0.1:${port}
http: 127.0.0.1:0
issuers: [${issuers.map((one) => `"127.0.0.1:${one}"`).join(", ")}]
hubRoots: hub/hub-root.pem
data: ${name}
tokenFile: agent.token
channelsPerIssuer: 1
tokens: { issuer: "https://east.example", jwksFile: east.json }
${more}`,
      );
      return file;
    },
    init: async (first) => {
      await say(first, "init", "--hub", groundHub, "--dir", at("hub"));
      await writeFile(at("hub", "resources", "mesh.yaml"), resources);
      await writeFile(at("hub", "resources", "east.json"), JSON.stringify(east.jwks));
    },
    createRoots: async (issuer) => {
      await say(issuer, "root", "create", "main");
      await say(issuer, "root", "create", "--serving", "east");
    },
    token: (serviceAccount) => east.token({ namespace: "shop", serviceAccount }),
  };
}
