/**
 * `npm run build`: the sources, with what they depend on, as the few files of dist/. Several hundred files take a start longer to find,
 * read and compile than all that it does then; and whoever installs it has the dependencies that package-lock.json names, and no others.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";

const root = import.meta.dirname;

export async function buildTo(directory: string): Promise<void> {
  rmSync(directory, { recursive: true, force: true });
  const { metafile } = await build({
    ...shared,
    // A token's sessions are processes of their own: custody/pkcs11-pool.ts starts the second one.
    entryPoints: ["src/main.ts", "src/custody/pkcs11-process.ts"],
    outdir: directory,
    entryNames: "[name]",
    // What a verb loads when it is called stays in a file of its own.
    splitting: true,
    metafile: true,
  });
  writeFileSync(join(directory, "licenses.txt"), toNotices(Object.keys(metafile.inputs)));
}

/** One file of a source and all that it imports, to be run where nothing else is. */
export async function toScript(source: string): Promise<string> {
  const { outputFiles } = await build({ ...shared, entryPoints: [source], write: false });
  return outputFiles.map(({ text }) => text).join("");
}

/**
 * Node's own modules by require: `import` reads all that they export, and much of it is loaded when it is first read (`node:http`
 * has a WebSocket, and with it all of undici; `node:tls` parses every public root).
 */
const builtins: Plugin = {
  name: "builtins",
  setup: ({ onResolve, onLoad }) => {
    const namespace = "builtin";
    onResolve({ filter: /./, namespace: "file" }, ({ path, kind }) =>
      kind === "import-statement" && isBuiltin(path) ? { path, namespace } : undefined,
    );
    onLoad({ filter: /./, namespace }, ({ path }) => ({ contents: `module.exports = require("${path}");` }));
  },
};

const shared = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "es2025",
  supported: { using: true },
  // Looked for by pg and by grpc-js where somebody asks for them. Nobody does.
  external: ["pg-native", "@grpc/proto-loader"],
  // For Node's own modules: above, and by those dependencies that are CommonJS.
  banner: { js: 'const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);' },
  plugins: [builtins],
  legalComments: "none",
} as const satisfies BuildOptions;

/** Name, version and licence of everything that is in it. */
function toNotices(inputs: readonly string[]): string {
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  return [...folders]
    .sort()
    .map(toNotice)
    .join(`\n${"-".repeat(80)}\n\n`);
}

function toNotice(folder: string): string {
  const read = (name: string): string => readFileSync(join(root, folder, name), "utf8");
  const { name, version, license }: Readonly<Record<string, string>> = JSON.parse(read("package.json"));
  const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  return [`${name} ${version} (${license})\n`, ...files.map(read)].join("\n");
}

if (import.meta.main) await buildTo(join(root, "dist"));
