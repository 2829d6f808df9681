/** The issuer's own serving certificate: made at start with a fresh key that is never stored, and anew at half of its life. */
import { generateKeyPairSync } from "node:crypto";
import type { Log } from "../ops/log.ts";
import { toPem } from "../pki/pem.ts";
import type { ServerTls } from "../rpc/credentials.ts";
import type { LiveWorld } from "./live.ts";
import { issueOwn, type OwnParts } from "./own.ts";

export interface ServerCertificateParts extends OwnParts {
  readonly live: Pick<LiveWorld, "world">;
  readonly log: Log;
}

const validitySeconds = 7 * 86_400;
const retryMs = 60_000;

export interface ServerCertificate extends AsyncDisposable {
  readonly first: ServerTls;
  /** Of the one in force. */
  notAfter(): Date;
}

/** `renewed` gets every later one. */
export async function startServerCertificate(
  names: readonly string[],
  parts: ServerCertificateParts,
  renewed: (tls: ServerTls) => void,
): Promise<ServerCertificate> {
  let notAfter = new Date(0);
  const make = async (): Promise<ServerTls> => {
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
    notAfter = intent.notAfter;
    return {
      chainPem: toPem("CERTIFICATE", leaf),
      keyPem: pair.privateKey.export({ type: "pkcs8", format: "pem" }),
      clientRootsPem: chain.bundle.roots.map((root) => toPem("CERTIFICATE", root)).join(""),
    };
  };
  let timer: NodeJS.Timeout;
  const renew = (): void => {
    make()
      .then((tls) => {
        renewed(tls);
        timer = setTimeout(renew, (validitySeconds * 1000) / 2);
      })
      .catch((error: unknown) => {
        parts.log.error("serving certificate not renewed", {}, error);
        timer = setTimeout(renew, retryMs);
      });
  };
  const first = await make();
  timer = setTimeout(renew, (validitySeconds * 1000) / 2);
  return { first, notAfter: () => notAfter, [Symbol.asyncDispose]: async () => clearTimeout(timer) };
}
