/**
 * Clients that hold on to a server's port, in a process of their own: `node test/support/slow-clients.ts PORT COUNT`. Of five two
 * say nothing, one dribbles a TLS handshake, one stops after it, and one begins a request and dribbles its bytes. They come from
 * twenty addresses of loopback, and stay until they are thrown out. It prints how many it has opened, and is ended by a signal.
 */
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const addresses = 20;
const dribbleMs = 1_000;
/** Handshakes under way: more would only wait for the same two cores. */
const lanes = 64;
const method = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

function dial(n: number): Socket {
  const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.1.${1 + (Math.floor(n / 5) % addresses)}` });
  return socket.on("error", () => {});
}

function shake(n: number): TLSSocket {
  const socket = connectTls({ socket: dial(n), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  return socket.on("error", () => {});
}

function dribble(write: (byte: Buffer) => void, closed: (then: () => void) => unknown): void {
  const timer = setInterval(() => write(Buffer.of(22)), dribbleMs);
  closed(() => clearInterval(timer));
}

function once(of: Socket, event: string): Promise<void> {
  return new Promise((resolve) => of.once(event, () => resolve()).once("close", () => resolve()));
}

const sayNothing = async (n: number): Promise<void> => await once(dial(n).resume(), "connect");

const kinds: readonly ((n: number) => Promise<void>)[] = [
  sayNothing,
  sayNothing,
  async (n) => {
    const socket = dial(n).resume();
    dribble(
      (byte) => void socket.write(byte),
      (then) => socket.once("close", then),
    );
    await once(socket, "connect");
  },
  async (n) => await once(shake(n).resume(), "secureConnect"),
  async (n) => {
    const socket = shake(n);
    await once(socket, "secureConnect");
    if (socket.destroyed) return;
    const session = connectHttp2("https://agent", { createConnection: () => socket }).on("error", () => {});
    const stream = session.request({ ":path": method, ":method": "POST", "content-type": "application/grpc" });
    stream.on("error", () => {}).resume();
    dribble(
      (byte) => void stream.write(byte),
      (then) => stream.once("close", then),
    );
  },
];

let opened = 0;
const lane = async (first: number): Promise<void> => {
  for (let n = first; n < count; n += lanes) {
    await kinds[n % kinds.length]?.(n);
    opened += 1;
    if (opened % 500 === 0) process.stdout.write(`${opened}\n`);
  }
};
await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)));
process.stdout.write(`${opened}\n`);
await delay(600_000);
