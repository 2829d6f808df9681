/** The credentials every pod has: its projected token, and the CA of its API server. Both rotate. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Refusal } from "../errors.ts";
import type { Access, Credentials } from "./credentials.ts";
import { followed } from "./followed.ts";

export interface InClusterConfig {
  /** KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, as `main.ts` found them. */
  readonly host: string;
  readonly port: string;
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly directory?: string;
}

export function inClusterCredentials(config: InClusterConfig, now?: () => number): Credentials {
  const { host, port, directory = "/var/run/secrets/kubernetes.io/serviceaccount" } = config;
  const server = new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`);
  const load = async (): Promise<Access> => {
    const [token, ca] = await Promise.all(["token", "ca.crt"].map((file) => readFile(join(directory, file), "utf8")));
    if (!token?.trim() || !ca?.includes("-----BEGIN CERTIFICATE-----")) {
      throw new Refusal("unavailable", `no token and CA in ${directory}`);
    }
    return { server, tls: { ca }, token: token.trim() };
  };
  return { current: followed(`the service account in ${directory}`, load, now) };
}
