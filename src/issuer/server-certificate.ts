/**
 * The issuer's own serving certificate: made at start with a fresh key that is never stored, and anew at half of its life or when
 * another hub root signs. With it goes what callers are verified with: every hub root that is trusted, as soon as that is known.
 */
import { generateKeyPairSync } from "node:crypto";
import type { Log } from "../ops/log.ts";
import { certificateLabel, toPem, toPemAll } from "../pki/pem.ts";
import type { ServerTls } from "../rpc/credentials.ts";
import type { LiveWorld } from "./live.ts";
import { issueOwn, type OwnParts } from "./own.ts";

export interface ServerCertificateParts extends OwnParts {
  readonly live: Pick<LiveWorld, "world" | "onChange">;
  readonly log: Log;
}

const validitySeconds = 7 * 86_400;
const retryMs = 60_000;

export interface ServerCertificate extends AsyncDisposable {
  readonly first: ServerTls;
  /** Of the one in force. */
  notAfter(): Date;
}

interface Made {
  readonly tls: ServerTls;
  readonly notAfter: Date;
  /** The id of the hub root that signed it. */
  readonly authority: string;
}

/** `renewed` gets every later one. */
export async function startServerCertificate(
  names: readonly string[],
  parts: ServerCertificateParts,
  renewed: (tls: ServerTls) => void,
): Promise<ServerCertificate> {
  const { live, log } = parts;
  let current = await makeCertificate(names, parts);
  const { tls: first } = current;
  let timer: NodeJS.Timeout;
  let making = false;
  let closed = false;
  const renewIn = (ms: number): void => {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(renew, ms);
  };
  const renew = (): void => {
    if (making) return;
    making = true;
    makeCertificate(names, parts)
      .then((made) => {
        making = false;
        renewIn((validitySeconds * 1000) / 2);
        current = made;
        renewed(made.tls);
        // What has changed meanwhile.
        follow();
      })
      .catch((error: unknown) => {
        making = false;
        renewIn(retryMs);
        log.error("serving certificate not renewed", {}, error);
      });
  };
  const follow = (): void => {
    if (closed) return;
    const clientRootsPem = toClientRoots(parts);
    if (clientRootsPem !== current.tls.clientRootsPem) {
      current = { ...current, tls: { ...current.tls, clientRootsPem } };
      renewed(current.tls);
    }
    const { authorities, hub } = live.world();
    if (authorities.active("hub", hub)?.record.id !== current.authority) renewIn(0);
  };
  renewIn((validitySeconds * 1000) / 2);
  // Not before whoever starts this has what it publishes to.
  const unsubscribe = live.onChange(() => void setImmediate(follow));
  setImmediate(follow);
  return {
    first,
    notAfter: () => current.notAfter,
    [Symbol.asyncDispose]: async () => {
      closed = true;
      unsubscribe();
      clearTimeout(timer);
    },
  };
}

async function makeCertificate(names: readonly string[], parts: ServerCertificateParts): Promise<Made> {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = pair.publicKey.export({ type: "spki", format: "der" });
  const request = {
    profile: "issuer",
    cluster: "",
    names: { dns: names },
    validitySeconds,
    rule: "@hub/issuer",
    proof: "self",
    spki,
  } as const;
  const { leaf, chain, intent } = await issueOwn(request, parts.live.world(), parts);
  return {
    tls: {
      chainPem: toPem(certificateLabel, leaf),
      keyPem: pair.privateKey.export({ type: "pkcs8", format: "pem" }),
      clientRootsPem: toClientRoots(parts),
    },
    notAfter: intent.notAfter,
    authority: chain.authority,
  };
}

function toClientRoots({ live }: Pick<ServerCertificateParts, "live">): string {
  const { authorities, hub } = live.world();
  return toPemAll(certificateLabel, authorities.bundleOf("hub", hub).roots);
}
