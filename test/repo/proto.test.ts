import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import loader from "@grpc/proto-loader";
import { IstioCertificateService } from "../../src/rpc/proto.ts";
import { genDirectory, protoDirectory, writeTypes } from "./proto-types.ts";

function contents(directory: string): ReadonlyMap<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
    /\.(ts|json)$/.test(path),
  );
  return new Map(paths.sort().map((path) => [path, readFileSync(join(directory, path), "utf8")]));
}

test("the types in src/rpc/gen are those of proto/", () => {
  const directory = mkdtempSync(join(tmpdir(), "espalier-proto-"));
  try {
    writeTypes(directory);
    assert.deepEqual(contents(genDirectory), contents(directory), "run `npm run proto` and commit what it writes");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: string;
  readonly label: string;
  readonly typeName: string;
}

/** Name, number, type and label of a message's fields, as a FileDescriptorProto has them. */
function fieldsOf(message: string): readonly (readonly (string | number)[])[] {
  const definition = loader.loadSync("istio/v1/auth/ca.proto", { includeDirs: [protoDirectory] })[message];
  assert.ok(definition !== undefined && "type" in definition);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library calls it an object
  const { field } = definition.type as unknown as { field: readonly Field[] };
  return field.map((f) => [f.name, f.number, f.typeName || f.type, f.label]);
}

test("Istio's messages have exactly its fields: the numbers are the protocol", () => {
  assert.deepEqual(fieldsOf("istio.v1.auth.IstioCertificateRequest"), [
    ["csr", 1, "TYPE_STRING", "LABEL_OPTIONAL"],
    ["validityDuration", 3, "TYPE_INT64", "LABEL_OPTIONAL"],
    ["metadata", 4, "google.protobuf.Struct", "LABEL_OPTIONAL"],
  ]);
  assert.deepEqual(fieldsOf("istio.v1.auth.IstioCertificateResponse"), [
    ["certChain", 1, "TYPE_STRING", "LABEL_REPEATED"],
  ]);
});

test("Istio's service is one unary call at its path", () => {
  const methods = Object.values(IstioCertificateService.service);
  assert.deepEqual(
    methods.map(({ path, requestStream, responseStream }) => ({ path, requestStream, responseStream })),
    [
      {
        path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
        requestStream: false,
        responseStream: false,
      },
    ],
  );
});

test("a request is the bytes that Istio's own clients write", () => {
  const { CreateCertificate } = IstioCertificateService.service;
  // {csr: "c", validity_duration: 86400, metadata: {fields: {CertSigner: {string_value: ""}}}}, as protobuf encodes it.
  const bytes = Buffer.from("0a01631880a30522120a100a0a436572745369676e657212021a00", "hex");
  const read = CreateCertificate.requestDeserialize(bytes);
  assert.equal(read.csr, "c");
  assert.equal(read.validityDuration, "86400");
  assert.equal(read.metadata?.fields?.["CertSigner"]?.stringValue, "");
  assert.deepEqual(CreateCertificate.responseSerialize({ certChain: ["a", "b"] }), Buffer.from("0a01610a0162", "hex"));
});
