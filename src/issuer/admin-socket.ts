/**
 * Where operators call. The Unix socket: who may open it is what the file system says, and it is all roles. From elsewhere a port of
 * their own, apart from that of agents, so that a network can keep it to those who need it.
 */
import { chmod, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import { checkDirectory } from "../custody/private-file.ts";
import { Refusal } from "../errors.ts";
import type { ServerCredentials } from "../rpc/credentials.ts";
import type { AdminHandlers } from "../rpc/gen/espalier/v1/Admin.ts";
import type { OnLimited } from "../rpc/guard.ts";
import { Admin } from "../rpc/proto.ts";
import { type Admit, type Limits, type OnUnreadable, type RpcServer, startServer, unencrypted } from "../rpc/server.ts";
import { admitSocket } from "./admit.ts";

/** sun_path of unix(7), less the final zero. */
const pathBytesMax = 107;
const limits: Limits = {
  messageBytesMax: 64 * 1024,
  streamsPerConnectionMax: 64,
  connectionAgeMs: 3_600_000,
  connectionIdleMs: 60_000,
};
const drainMs = 2_000;

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
  const server = await startServer({ address: `unix:${path}`, limits, drainMs, admit: admitSocket }, unencrypted, (s) =>
    s.addService(Admin.service, service),
  );
  await chmod(path, 0o600);
  return server;
}

export interface AdminPort {
  /** `host:port`. */
  readonly address: string;
  readonly credentials: ServerCredentials;
  readonly admit: Admit;
  readonly onUnreadable: OnUnreadable;
  readonly onLimited: OnLimited;
}

export async function startAdminPort({ credentials, ...port }: AdminPort, service: AdminHandlers): Promise<RpcServer> {
  return await startServer({ ...port, limits, drainMs }, credentials.credentials, (s) =>
    s.addService(Admin.service, service),
  );
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
