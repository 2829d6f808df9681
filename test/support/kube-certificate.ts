/** A serving certificate for loopback, made once in a process. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ServerPair {
  readonly key: string;
  readonly cert: string;
}

let made: ServerPair | undefined;

export function serverPair(): ServerPair {
  made ??= makeServerPair();
  return made;
}

/** A new one each time: its own CA, as after a CA's rotation. */
export function makeServerPair(): ServerPair {
  const directory = mkdtempSync(join(tmpdir(), "espalier-kube-"));
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  try {
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    const names = ["-subj", "/CN=memory", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    execFileSync("openssl", [...args, ...names, "-keyout", key, "-out", cert], { stdio: "pipe" });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
