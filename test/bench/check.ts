/** Whether what came back is what was asked for, judged by node:crypto and not by our own reader. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { Work } from "./work.ts";

export interface Answer {
  readonly work: Work;
  /** DER or PEM. */
  readonly leaf: Uint8Array | string;
  /** The certificate of the authority that signed it. */
  readonly authority: Uint8Array | string;
}

/** One in so many signatures is verified; key and name are looked at in every leaf. */
const sampledEvery = 8;

/** Every request has one answer, and each answer its request's key and name. */
export function checkAnswers(answers: readonly Answer[], count: number): void {
  assert.equal(answers.length, count);
  assert.equal(new Set(answers.map((a) => a.work)).size, count);
  for (const [n, { work, leaf, authority }] of answers.entries()) {
    const certificate = new X509Certificate(leaf);
    assert.equal(certificate.subjectAltName, `URI:${work.uri}`);
    assert.deepEqual(certificate.publicKey.export({ format: "der", type: "spki" }), work.spki);
    if (n % sampledEvery === 0) assert.ok(certificate.verify(new X509Certificate(authority).publicKey));
  }
}
