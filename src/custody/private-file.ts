/**
 * Files that only this process's user may read or write, in a directory that only it may write. A file appears whole or
 * not at all, under a name that was free, and is there after a power cut.
 */
import { constants, type Stats } from "node:fs";
import { type FileHandle, link, mkdir, open, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Refusal } from "../errors.ts";

/** Larger than any key, encrypted or not. */
const bytesMax = 64 * 1024;

/** @throws Refusal `not-ready` when the name is taken, `config` when others may write the directory. */
export async function createPrivateFile(path: string, text: string, random: (bytes: number) => Uint8Array) {
  const directory = dirname(path);
  await createDirectory(directory);
  await checkDirectory(directory);
  const draft = join(directory, `.${Buffer.from(random(12)).toString("hex")}.tmp`);
  await writeDurably(draft, text);
  try {
    // If we stop before this, a hidden temporary file is left that nothing reads. After it, the key has its name, and
    // `link`, unlike `rename`, never takes another's.
    await link(draft, path).catch((cause: unknown) => {
      if (codeOf(cause) === "EEXIST") throw new Refusal("not-ready", `${path} exists already`, { cause });
      throw unavailable(path, cause);
    });
  } finally {
    await unlink(draft);
  }
  // If we stop before this, a power cut may take the name away again; nobody has been told of the key yet.
  await syncDirectory(directory);
}

/** @throws Refusal `not-found`, or `config` when it is not a plain file of our own that others can neither read nor write. */
export async function readPrivateFile(path: string): Promise<string> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") throw new Refusal("not-found", `there is no ${path}`, { cause });
    if (codeOf(cause) === "ELOOP") throw new Refusal("config", `${path} is a symbolic link`, { cause });
    throw unavailable(path, cause);
  });
  // Asked of the open file, so that what is judged is what is read.
  const stats = await file.stat();
  if (!stats.isFile() || stats.size > bytesMax) throw new Refusal("config", `${path} is no file of a key`);
  checkOwner(path, stats);
  if ((stats.mode & 0o077) !== 0) throw openToOthers(path, stats, "600");
  return file.readFile("utf8");
}

/**
 * A secret that somebody else may have put there, as Kubernetes mounts one: by a symbolic link, root's own, and readable by the
 * group that the pod was given. Without its line end. `what` is what a refusal calls it. @throws Refusal `config`.
 */
export async function readSecretFile(path: string, what: string): Promise<string> {
  await using file = await open(path, constants.O_RDONLY).catch((cause: unknown) => {
    throw new Refusal("config", `${what}: ${path} cannot be read`, { cause });
  });
  const stats = await file.stat();
  if (!stats.isFile() || stats.size > bytesMax) throw new Refusal("config", `${what}: ${path} is no file of a secret`);
  const mounted = stats.uid === 0 && process.geteuid?.() !== 0;
  if (!mounted) checkOwner(path, stats);
  if ((stats.mode & (mounted ? 0o037 : 0o077)) !== 0) throw openToOthers(path, stats, "400");
  return (await file.readFile("utf8")).replace(/\r?\n$/, "");
}

/** A directory that is not there yet is fine: it is made with the first file. */
export async function checkDirectory(path: string): Promise<void> {
  const stats = await stat(path).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw unavailable(path, cause);
  });
  if (stats === undefined) return;
  if (!stats.isDirectory()) throw new Refusal("config", `${path} is not a directory`);
  checkOwner(path, stats);
  if ((stats.mode & 0o022) !== 0) throw openToOthers(path, stats, "700");
}

async function createDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw unavailable(path, cause);
  });
  // Each directory that was made is a name in the one above it.
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file: FileHandle = await open(path, "wx", 0o600).catch((cause: unknown) => {
    throw unavailable(path, cause);
  });
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (cause) {
    await unlink(path).catch(() => undefined);
    throw unavailable(path, cause);
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await directory.sync();
}

function checkOwner(path: string, stats: Stats): void {
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user) {
    throw new Refusal("config", `${path} belongs to user ${stats.uid}, and this process runs as ${user}`);
  }
}

function openToOthers(path: string, stats: Stats, mode: string): Refusal {
  const found = (stats.mode & 0o777).toString(8);
  return new Refusal("config", `${path} is open to others (mode ${found}): chmod ${mode} ${path}`);
}

function unavailable(path: string, cause: unknown): Refusal {
  return new Refusal("unavailable", `${path} cannot be used now`, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
