/** Keys in a PKCS #11 token: made there, and never anywhere else. */
import { Refusal } from "../errors.ts";
import { checkKeyName } from "./key.ts";
import type { Answer } from "./pkcs11-messages.ts";
import { openPool, type PoolConfig } from "./pkcs11-pool.ts";
import type { TokenKey } from "./pkcs11-token.ts";
import type { Custody, Signer } from "./signer.ts";

/** Opens no session yet: the first key does. */
export function openPkcs11Custody(config: PoolConfig): Custody & AsyncDisposable {
  const pool = openPool(config);
  /** A name is free until it is taken: two who ask at once would both be told that it is. */
  let creating: Promise<unknown> = Promise.resolve();

  function toSigner(name: string, answer: Answer): Signer {
    const { algorithm, spki } = expectKey(answer);
    return {
      algorithm,
      spki,
      async sign(bytes) {
        const signed = await pool.ask({ verb: "sign", name, bytes }).catch((cause: unknown) => {
          if (cause instanceof Refusal && cause.code === "overloaded") throw cause;
          throw new Refusal("unavailable", `the key "${name}" in the token cannot sign`, { cause });
        });
        if (signed.kind !== "signature") throw new Error(`a token's process answered ${signed.kind}`);
        return signed.signature;
      },
    };
  }
  return {
    async createKey(name, algorithm) {
      checkKeyName(name);
      const made = creating.then(async () => await pool.ask({ verb: "create", name, algorithm }));
      creating = made.catch(() => undefined);
      return toSigner(name, await made);
    },
    async openKey(name) {
      return toSigner(name, await pool.ask({ verb: "open", name: checkKeyName(name) }));
    },
    [Symbol.asyncDispose]: async () => await pool[Symbol.asyncDispose](),
  };
}

function expectKey(answer: Answer): TokenKey {
  if (answer.kind !== "key") throw new Error(`a token's process answered ${answer.kind}`);
  return answer.key;
}
