import assert from "node:assert/strict";
import { test } from "node:test";
import grpc from "@grpc/grpc-js";
import { isRefusalCode, Refusal, refusals } from "../../src/errors.ts";
import { readStatus, toStatus } from "../../src/rpc/status.ts";

function sent(error: unknown): grpc.ServiceError {
  return Object.assign(new Error("sent"), toStatus(error));
}

test("every refusal crosses the wire with its code, its words and its status", () => {
  for (const [code, { status }] of Object.entries(refusals)) {
    assert.ok(isRefusalCode(code));
    const error = sent(new Refusal(code, `about ${code}`));
    assert.equal(grpc.status[error.code], status);
    const back = readStatus(error);
    assert.deepEqual([back.code, back.message], [code, `about ${code}`]);
  }
});

test("an outage of ours is never UNAUTHENTICATED, and what can be tried again says so", () => {
  for (const [code, { status, retry }] of Object.entries(refusals)) {
    const proof = code.startsWith("proof-m") || code === "proof-invalid" || code === "impersonation-refused";
    assert.equal(status === "UNAUTHENTICATED", proof, code);
    assert.equal(retry, ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL"].includes(status), code);
  }
});

test("anything but a refusal is an internal error without details", () => {
  for (const error of [new Error("the key is 0xabc"), "text", undefined, { code: 7, details: "x" }]) {
    const { code, details } = sent(error);
    assert.deepEqual([grpc.status[code], details], ["INTERNAL", "internal error"]);
  }
});

test("another server's status is read by its number, and no status at all is unavailable", () => {
  const foreign = (code: grpc.status, trailer?: string): grpc.ServiceError => {
    const metadata = new grpc.Metadata();
    if (trailer !== undefined) metadata.set("espalier-code", trailer);
    return Object.assign(new Error("foreign"), { code, details: "foreign", metadata });
  };
  assert.equal(readStatus(foreign(grpc.status.UNAUTHENTICATED)).code, "proof-invalid");
  assert.equal(readStatus(foreign(grpc.status.INVALID_ARGUMENT)).code, "malformed");
  assert.equal(readStatus(foreign(grpc.status.RESOURCE_EXHAUSTED)).code, "overloaded");
  for (const code of [grpc.status.UNKNOWN, grpc.status.CANCELLED, grpc.status.DEADLINE_EXCEEDED, grpc.status.DATA_LOSS])
    assert.equal(readStatus(foreign(code)).code, "unavailable");
  for (const trailer of ["toString", "__proto__", ""])
    assert.equal(readStatus(foreign(grpc.status.INTERNAL, trailer)).code, "unavailable");
  for (const error of [undefined, null, new Error("reset"), "x"]) assert.equal(readStatus(error).code, "unavailable");
});
