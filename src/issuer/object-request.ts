/** What an agent says of an object's request, read from the wire into what cannot be wrong in shape. */
import { Refusal } from "../errors.ts";
import type { ObjectRequest__Output } from "../rpc/gen/espalier/v1/ObjectRequest.ts";
import type { ObjectRequest } from "./item.ts";

export const label = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
export const objectName = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;
const issuerName = /^Tenant(?:Cluster)?Issuer\/[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;
const groupsMax = 64;
const usagesMax = 32;
/** Of a user's, a group's or a usage's name. */
const nameLengthMax = 512;

/** @throws Refusal `malformed` naming the member. */
export function readObjectRequest(wire: ObjectRequest__Output | null | undefined): ObjectRequest {
  if (wire === null || wire === undefined) throw malformed("it is empty");
  const { door, namespace, name, issuer, profile, username, groups, usages, isCa } = wire;
  if (door !== "certificate-request" && door !== "csr") throw malformed("its door is not one we know");
  if (!label.test(namespace)) throw malformed("its namespace is none");
  if (!objectName.test(name)) throw malformed("its name is no object's");
  if (!issuerName.test(issuer))
    throw malformed("its issuer is neither TenantIssuer/<name> nor TenantClusterIssuer/<name>");
  if (profile !== "request")
    throw malformed(`the profile ${label.test(profile) ? `"${profile}" ` : ""}is not one for requests`);
  if (username === "" || !isName(username))
    throw malformed("its username is empty, too long, or has control characters");
  // A CertificateSigningRequest is in no namespace: it counts as one of the namespace of the ServiceAccount that made it.
  if (door === "csr" && !username.startsWith(`system:serviceaccount:${namespace}:`))
    throw malformed("no ServiceAccount of its namespace has made it");
  if (groups.length > groupsMax || !groups.every(isName)) throw malformed("its groups are too many or too long");
  if (usages.length === 0 || usages.length > usagesMax || !usages.every(isName))
    throw malformed(`its usages are none, more than ${usagesMax}, or too long`);
  return { door, namespace, object: `${namespace}/${name}`, issuer, username, groups, usages, isCa };
}

/** What goes into the ledger is text that can be shown. */
function isName(text: string): boolean {
  return text.length <= nameLengthMax && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function malformed(rule: string): Refusal {
  return new Refusal("malformed", `the object's request is not understood: ${rule}`);
}
