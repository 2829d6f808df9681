/** Makes src/rpc/gen from proto/. `npm run proto` writes it; a test compares it with what is checked in. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export const genDirectory = `${root}src/rpc/gen`;

/** The options that say what a value looks like are those that src/rpc/proto.ts loads with. */
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
      "istio/v1/auth/ca.proto",
      "espalier/v1/issuer.proto",
      "espalier/v1/admin.proto",
    ],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] },
  );
}

if (import.meta.main) {
  // A message that is gone from proto/ must not live on here.
  rmSync(genDirectory, { recursive: true, force: true });
  writeTypes(genDirectory);
}
