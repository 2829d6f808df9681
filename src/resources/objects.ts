/** From objects of an API server to the declared state, by the same reading and the same judging as from files. */
import { createHash } from "node:crypto";
import type { Context } from "./check.ts";
import type { Declared, Placed } from "./declared.ts";
import { type Kind, readResource } from "./kind.ts";
import type { Position, Problem } from "./problem.ts";
import { declare } from "./read.ts";

/** One object, in the shape of a document: what only an API server says of it stands beside. */
export interface ResourceObject {
  readonly kind: Kind;
  readonly name: string;
  readonly uid: string;
  /** Another one for every change of what is declared, and for no other. */
  readonly generation: number;
  readonly document: unknown;
}

/** @throws DocumentsRefused; the file of a problem is the object, as `toPlace` has it. */
export function readObjects(objects: readonly ResourceObject[], context: Context = {}): Declared {
  const placed: Placed[] = [];
  const problems: Problem[] = [];
  for (const object of objects) {
    const locate = (): Position => ({ file: toPlace(object), line: 1, column: 1 });
    const reading = readResource(object.document, () => undefined);
    if ("resource" in reading) placed.push({ resource: reading.resource, locate });
    else problems.push(...reading.flaws.map((flaw) => ({ ...locate(), ...flaw })));
  }
  return declare({ placed, problems }, digestOfObjects(objects), context);
}

/** `MeshTenant/shop` */
export function toPlace({ kind, name }: Pick<ResourceObject, "kind" | "name">): string {
  return `${kind}/${name}`;
}

/** The same for the same objects in any order, whatever their status. */
export function digestOfObjects(objects: readonly ResourceObject[]): string {
  const lines = objects.map(({ kind, name, uid, generation }) => JSON.stringify([kind, name, uid, generation]));
  return createHash("sha256").update(lines.toSorted().join()).digest("hex");
}
