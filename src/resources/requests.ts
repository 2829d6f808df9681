/** What a MeshTenant gives to the requests of its namespaces' own users: `spec.requests`. */
import * as z from "zod";
import { readIpRange } from "../pki/ip.ts";
import { namedSecondsCap } from "../pki/named-leaf.ts";
import { namedUsages } from "../pki/named-usage.ts";
import { dnsName, namespacePattern, requestedDns, requestedEmail, requestedUri, subjectValue } from "./fields.ts";
import { holds } from "./rule.ts";

const itemsMax = 256;

const ipRange = holds(z.string().max(49), {
  says: "must be an address, or address/bits",
  cel: "isIP(self) || isCIDR(self)",
  check: (text, broken) => {
    if (readIpRange(text) === undefined) broken();
  },
});

function values(what: string) {
  return z
    .array(subjectValue)
    .max(64)
    .default([])
    .describe(`${what} that a subject may have: values, or a prefix and *.`);
}

const subject = z
  .strictObject({
    commonNames: values("Common names, beside the names that are given anyway,"),
    organizations: values("Organizations"),
    organizationalUnits: values("Organizational units"),
    countries: values("Countries"),
    provinces: values("Provinces"),
    localities: values("Localities"),
    streetAddresses: values("Street addresses"),
    postalCodes: values("Postal codes"),
    serialNumbers: values("Serial numbers"),
    domainComponents: values("Domain components"),
    userIds: values("User ids"),
  })
  .prefault({})
  .describe("What of a subject is given. Nothing by default.");

const authorities = z
  .strictObject({
    namespaces: z
      .array(namespacePattern)
      .min(1)
      .max(1024)
      .describe(
        "The namespaces that may ask for one: names, or a prefix and *, or * for all. A rule has to take their requests too.",
      ),
    dnsNames: z
      .array(dnsName)
      .max(64)
      .default([])
      .describe(
        "DNS names that certificates below such a CA may have, each with all names below it. Beside these, and the tenant's SPIFFE IDs, they may have none. Default none.",
      ),
    maximumSeconds: z
      .int()
      .min(3600)
      .max(namedSecondsCap)
      .default(7_776_000)
      .describe(
        "Longer requests are refused, in seconds, at most 34387200 (398 days). Default 7776000 (90 days). A rotation of the root waits as long.",
      ),
  })
  .describe(
    "CA certificates (isCA) of path length 0, where the tenant is alone under its TrustRoot and in its trust domain: whoever holds one can make every workload of the tenant, in no ledger. Default none.",
  );

export const requests = z
  .strictObject({
    dnsNames: z
      .array(requestedDns)
      .max(itemsMax)
      .default([])
      .describe(
        "DNS names that are given: a name, or *. and what the names below it end with, wildcards too; {namespace} is the one that asks.",
      ),
    ips: z
      .array(ipRange)
      .max(itemsMax)
      .default([])
      .describe("IP addresses that are given: addresses, or address/bits."),
    emails: z
      .array(requestedEmail)
      .max(itemsMax)
      .default([])
      .describe("E-mail addresses that are given: an address, or *@ and a domain; {namespace} is the one that asks."),
    uris: z
      .array(requestedUri)
      .max(itemsMax)
      .default([])
      .describe(
        "URIs that are given: a URI, or what it begins with up to a / or : and *; no SPIFFE IDs. {namespace} is the one that asks.",
      ),
    identities: z
      .boolean()
      .default(false)
      .describe(
        "Whether a namespace is given the SPIFFE IDs of its own accounts, but for those that have a rule of their own. Default false.",
      ),
    subject,
    usages: z
      .array(z.enum(namedUsages))
      .min(1)
      .max(namedUsages.length)
      .default(["signing", "digital signature", "key encipherment", "server auth", "client auth"])
      .describe(
        "Usages that are given, as cert-manager calls them. Default signatures, key encipherment, server auth and client auth.",
      ),
    maximumSeconds: z
      .int()
      .min(600)
      .max(namedSecondsCap)
      .default(7_776_000)
      .describe(
        "Longer requests are refused, in seconds, at most 34387200 (398 days). Default 7776000 (90 days), which is also what is given where nothing is asked.",
      ),
    authorities: authorities.optional(),
  })
  .describe("What requests get, where a rule takes the proof request. Without it nothing.");
