/** Documents as an operator writes them. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import type { Context } from "../../src/resources/check.ts";
import type { Declared } from "../../src/resources/declared.ts";
import { DocumentsRefused, toLine } from "../../src/resources/problem.ts";
import { readDocuments } from "../../src/resources/read.ts";

export function jwks(): string {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "ES256" }] });
}

export function root(name = "main", spec = "{}"): string {
  return `apiVersion: espalier.dev/v1alpha1
kind: TrustRoot
metadata: { name: ${name} }
spec: ${spec}
`;
}

export function tenant(
  name: string,
  lines: Partial<Record<"trustDomain" | "root" | "rules" | "more", string>> = {},
): string {
  const {
    trustDomain = `${name}.example`,
    root = "main",
    rules = `[{ name: all, clusters: [east], namespaces: ["${name}-*"] }]`,
    more = "",
  } = lines;
  return `apiVersion: espalier.dev/v1alpha1
kind: MeshTenant
metadata:
  name: ${name}
spec:
  trustDomain: ${trustDomain}
  root: ${root}
  rules: ${rules}
${more === "" ? "" : `  ${more}\n`}`;
}

export function cluster(name: string, lines: Partial<Record<"keys" | "servingNames" | "more", string>> = {}): string {
  const {
    keys = `{ jwks: ${jwks()} }`,
    servingNames = `[ca.${name}.example, istiod.istio-system.svc]`,
    more = "",
  } = lines;
  return `apiVersion: espalier.dev/v1alpha1
kind: MeshCluster
metadata:
  name: ${name}
spec:
  tokens:
    issuer: https://kubernetes.default.svc.cluster.local
    keys: ${keys}
  servingNames: ${servingNames}
${more === "" ? "" : `  ${more}\n`}`;
}

export function join(...documents: readonly string[]): string {
  return documents.join("---\n");
}

export function read(text: string, context?: Context, beside: Readonly<Record<string, string>> = {}): Declared {
  const others = Object.entries(beside).map(([path, text]) => ({ path, text }));
  return readDocuments([{ path: "all.yaml", text }, ...others], context);
}

/** Every problem of these documents, a line each. */
export function problemsOf(
  text: string,
  context?: Context,
  beside?: Readonly<Record<string, string>>,
): readonly string[] {
  try {
    read(text, context, beside);
  } catch (error) {
    if (!(error instanceof DocumentsRefused)) throw error;
    assert.equal(error.code, "config");
    assert.equal(error.message, error.problems.map(toLine).join("\n"));
    return error.problems.map(toLine);
  }
  return [];
}
