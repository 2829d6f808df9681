/** Where documents are, as somebody names them: a directory, or the issuer.yaml that names one. */
import { stat } from "node:fs/promises";
import { Refusal } from "../errors.ts";
import { readIssuerConfig } from "../ops/config.ts";

export interface DocumentsPlace {
  /** Undefined where an issuer's documents are a cluster's objects. */
  readonly directory: string | undefined;
  /** Undefined where nobody says. */
  readonly hub: string | undefined;
}

/** `hub` is that of a directory. @throws Refusal `config`. */
export async function findDocuments(path: string, hub: string | undefined): Promise<DocumentsPlace> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new Refusal("config", `cannot read ${path}`, { cause });
  });
  if (found.isDirectory()) return { directory: path, hub };
  const { resources, kubernetes, hub: own } = await readIssuerConfig(path);
  return { directory: kubernetes === undefined ? resources : undefined, hub: own };
}
