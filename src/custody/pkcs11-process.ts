/**
 * The process of one session with a PKCS #11 token. A module that hangs or crashes does so here, and what it has of the issuer's
 * memory is nothing. A session that is lost ends it: the next one begins from nothing.
 */
import { Refusal } from "../errors.ts";
import { type Answer, isRequest, type Job, type Request } from "./pkcs11-messages.ts";
import { openToken, type TokenKey, type TokenSession } from "./pkcs11-token.ts";
import { readSecretFile } from "./private-file.ts";

serve();

function serve(): void {
  let session: TokenSession | undefined;
  async function answer({ address, job }: Request): Promise<Answer> {
    let barred = false;
    try {
      if (session === undefined) {
        const pin = Buffer.from(await readSecretFile(address.pinFile, "custody.pkcs11.pinFile"));
        barred = true;
        session = openToken(address, pin);
        barred = false;
      }
      return work(session, job);
    } catch (error) {
      if (!(error instanceof Refusal)) return { kind: "lost", message: error instanceof Error ? error.message : "" };
      return { kind: "refused", code: error.code, message: error.message, barred };
    }
  }
  async function reply(request: Request): Promise<void> {
    const answered = await answer(request);
    process.send?.(answered, () => {
      if (answered.kind === "lost") process.exit(1);
    });
  }
  process.on("message", (message: unknown) => {
    if (isRequest(message)) void reply(message);
  });
  // The issuer ends this process when it has drained; a signal to the whole group is not that.
  process.on("SIGTERM", () => {});
  process.on("SIGINT", () => {});
  process.on("disconnect", () => {
    session?.close();
    process.exit(0);
  });
}

function work(session: TokenSession, job: Job): Answer {
  switch (job.verb) {
    case "create":
      return { kind: "key", key: toPlain(session.createKey(job.name, job.algorithm)) };
    case "open":
      return { kind: "key", key: toPlain(session.openKey(job.name)) };
    case "sign":
      return { kind: "signature", signature: session.sign(job.name, job.bytes) };
  }
}

/** Without the handle, which is this process's. */
function toPlain({ algorithm, spki }: TokenKey): TokenKey {
  return { algorithm, spki };
}
