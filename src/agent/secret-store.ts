/** What an agent keeps, in Secrets: its own state in one of its own namespace, and istiod's certificate in the one istiod mounts. */
import { isNotFound } from "../kube/api-error.ts";
import { applyObject } from "../kube/apply.ts";
import type { Client } from "../kube/client.ts";
import { recordAt, textAt } from "../kube/json.ts";
import { getObject, mergeObject } from "../kube/objects.ts";
import { resources } from "../kube/resource.ts";
import { certificateLabel } from "../pki/pem.ts";
import type { Store } from "./store.ts";

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** Files as keys of one Secret. A write touches its own key only: replicas share the Secret. */
export function openSecretStore(client: Client, secret: SecretName): Store {
  return {
    read: async (file) => await readKey(client, secret, file),
    write: async (file, text) => {
      const data = { [file]: toBase64(text) };
      try {
        // If we stop before this, the old value stands; after it, the new one does.
        await mergeObject(client, resources.secrets, secret, { data });
      } catch (error) {
        if (!isNotFound(error)) throw error;
        await applyObject(client, resources.secrets, secret, { type: "Opaque", data });
      }
    },
  };
}

/** The Secret that istiod serves with: it must be whole, `ca.crt` included, before istiod starts. */
export function openTlsSecret(client: Client, secret: SecretName, rootsPem: () => string): Store {
  return {
    read: async () => {
      const [key, chain] = [await readKey(client, secret, "tls.key"), await readKey(client, secret, "tls.crt")];
      return key === undefined || chain === undefined ? undefined : key + chain;
    },
    write: async (_file, text) => {
      const split = text.indexOf(`-----BEGIN ${certificateLabel}-----`);
      const data = {
        "tls.crt": toBase64(text.slice(split)),
        "tls.key": toBase64(text.slice(0, split)),
        "ca.crt": toBase64(rootsPem()),
      };
      // One object, one write: never a key of one generation beside a certificate of another.
      await applyObject(client, resources.secrets, secret, { type: "kubernetes.io/tls", data }, { force: true });
    },
  };
}

async function readKey(client: Client, secret: SecretName, key: string): Promise<string | undefined> {
  try {
    const found = await getObject(client, resources.secrets, secret);
    const value = textAt(recordAt(found, "data"), key);
    return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function toBase64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
