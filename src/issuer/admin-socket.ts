/** The operators' Unix socket. Who may open it is what the file system says; there is no other lock on it. */
import { chmod, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { checkDirectory } from "../custody/private-file.ts";
import { Refusal } from "../errors.ts";
import type { AdminHandlers } from "../rpc/gen/espalier/v1/Admin.ts";
import { Admin } from "../rpc/proto.ts";
import { type Limits, type RpcServer, startServer, unencrypted } from "../rpc/server.ts";

/** sun_path of unix(7), less the final zero. */
const pathBytesMax = 107;
const limits: Limits = {
  messageBytesMax: 64 * 1024,
  streamsPerConnectionMax: 64,
  connectionAgeMs: 3_600_000,
  connectionIdleMs: 60_000,
};

export async function startAdminSocket(path: string, service: AdminHandlers): Promise<RpcServer> {
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw new Refusal(
      "config",
      `adminSocket: the path is longer than the ${pathBytesMax} bytes a socket's may be: ${path}`,
    );
  }
  await checkDirectory(dirname(path));
  if (await answers(path))
    throw new Refusal("config", `adminSocket: another issuer runs here already and answers at ${path}`);
  // Left behind by a process that was killed.
  await rm(path, { force: true });
  const server = await startServer({ address: `unix:${path}`, limits, drainMs: 2_000 }, unencrypted, (s) =>
    s.addService(Admin.service, service),
  );
  await chmod(path, 0o600);
  return server;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (alive: boolean) => (): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", done(true)).once("error", done(false));
  });
}
