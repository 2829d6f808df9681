/** Makes src/rpc/gen from proto/. `npm run proto` writes it; a test compares it with what is checked in. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

export const protoDirectory = join(root, "proto");
export const genDirectory = join(root, "src/rpc/gen");

const files = ["istio/v1/auth/ca.proto", "espalier/v1/issuer.proto", "espalier/v1/admin.proto"];

/** The options that say what a value looks like are those that src/rpc/proto.ts makes them with. */
export function writeTypes(directory: string): void {
  execFileSync(
    `${root}node_modules/.bin/proto-loader-gen-types`,
    [
      "--longs=String",
      "--enums=String",
      "--defaults",
      "--oneofs",
      "--grpcLib=@grpc/grpc-js",
      "--importFileExtension=.ts",
      "-I",
      "proto",
      "-O",
      directory,
      ...files,
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
  writeDescriptors(join(directory, "descriptors.json"));
}

/** What src/rpc/proto.ts loads: what the library makes of the files, before it does anything with it. */
function writeDescriptors(file: string): void {
  const read = new protobuf.Root();
  read.resolvePath = (_, path) => join(protoDirectory, path);
  writeFileSync(file, `${JSON.stringify(read.loadSync(files).toJSON(), undefined, 1)}\n`);
}

if (import.meta.main) {
  // A message that is gone from proto/ must not live on here.
  rmSync(genDirectory, { recursive: true, force: true });
  writeTypes(genDirectory);
}
