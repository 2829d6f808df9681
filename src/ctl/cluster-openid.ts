/** What a cluster's API server says of the tokens it signs, read as its administrator reads it. */
import { Refusal } from "../errors.ts";
import { ApiError } from "../kube/api-error.ts";
import { openClient } from "../kube/client.ts";
import type { Credentials } from "../kube/credentials.ts";
import { kubeconfigCredentials } from "../kube/kubeconfig.ts";

const byHand =
  "or read both with kubectl get --raw /.well-known/openid-configuration and /openid/v1/jwks, and give them as --openid and --jwks";

/** @throws Refusal that says what else can be done where this machine cannot ask. */
export async function readOpenid(
  path: string,
  context: string | undefined,
): Promise<{ readonly openid: unknown; readonly jwks: unknown }> {
  using client = openClient({ credentials: await toCredentials(path, context) });
  try {
    const [openid, jwks] = await Promise.all([
      client.call({ verb: "GET", path: "/.well-known/openid-configuration" }),
      client.call({ verb: "GET", path: "/openid/v1/jwks" }),
    ]);
    return { openid, jwks };
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
    throw new Refusal(
      "not-ready",
      `${error.message}: give that user the ClusterRole system:service-account-issuer-discovery, ${byHand}`,
      { cause: error },
    );
  }
}

async function toCredentials(path: string, context: string | undefined): Promise<Credentials> {
  try {
    return await kubeconfigCredentials(path, context === undefined ? {} : { context });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal("config", `${error.message}; ${byHand}`, { cause: error });
  }
}
