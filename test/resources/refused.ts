/** Documents with one mistake each, and where and how the issuer tells it. */
import { cluster, tenant } from "./build.ts";

const head = "apiVersion: espalier.dev/v1alpha1\nkind: TrustRoot\nmetadata: { name: main }\n";
const privateKey = `{ jwks: { keys: [{ kty: EC, crv: P-256, x: a, y: b, d: c }] } }`;
const rows: readonly (readonly [what: string, text: string, line: string])[] = [
  ["an unknown field", `${head}spec:\n  source: espalier\n  sauce: hot\n`, "all.yaml:6:3 spec.sauce: unknown field"],
  [
    "a wrong type",
    `${head}spec:\n  validityDays: long\n`,
    'all.yaml:5:3 spec.validityDays: must be a number, not "long"',
  ],
  [
    "a broken number",
    `${head}spec:\n  validityDays: 30.5\n`,
    "all.yaml:5:3 spec.validityDays: must be a whole number, not 30.5",
  ],
  [
    "a number out of range",
    `${head}spec:\n  validityDays: 7301\n`,
    "all.yaml:5:3 spec.validityDays: must be at most 7300, not 7301",
  ],
  [
    "a value that is none of the choices",
    `${head}spec: { source: vault }\n`,
    'all.yaml:4:9 spec.source: must be "espalier" or "brought" or "offline", not "vault"',
  ],
  [
    "a name that is no DNS label",
    head.replace("main", "Main"),
    'all.yaml:3:13 metadata.name: must be a DNS label: 1 to 63 of a-z, 0-9 and -, with - not at an end, not "Main"',
  ],
  [
    "another kind",
    head.replace("TrustRoot", "Secret"),
    'all.yaml:2:1 kind: must be TrustRoot, MeshTenant, MeshCluster, not "Secret"',
  ],
  [
    "a kind that is only an object's own",
    head.replace("TrustRoot", "toString"),
    'all.yaml:2:1 kind: must be TrustRoot, MeshTenant, MeshCluster, not "toString"',
  ],
  [
    "another version",
    head.replace("v1alpha1", "v2"),
    'all.yaml:1:1 apiVersion: must be "espalier.dev/v1alpha1", not "espalier.dev/v2"',
  ],
  [
    "a missing field, where it should be",
    tenant("shop").replace(/ {2}root.*\n/, ""),
    "all.yaml:5:1 spec.root: required",
  ],
  ["no rules", tenant("shop", { rules: "[]" }), "all.yaml:8:3 spec.rules: must be at least 1 long"],
  [
    "a pattern within a name",
    tenant("shop", { rules: '[{ name: a, clusters: [east], namespaces: ["a*b"] }]' }),
    'all.yaml:8:53 spec.rules[0].namespaces[0]: must be a namespace, a prefix and *, or *, not "a*b"',
  ],
  [
    "a prefix of clusters",
    tenant("shop", { rules: '[{ name: a, clusters: ["e*"], namespaces: [a] }]' }),
    'all.yaml:8:33 spec.rules[0].clusters[0]: must be the name of a MeshCluster, or *, not "e*"',
  ],
  [
    "* beside other clusters",
    tenant("shop", { rules: '[{ name: a, clusters: ["*", east], namespaces: [a] }]' }),
    "all.yaml:8:22 spec.rules[0].clusters: * stands alone: it is every cluster",
  ],
  [
    "a proof there is not",
    tenant("shop", { rules: "[{ name: a, clusters: [east], namespaces: [a], proofs: [word] }]" }),
    'all.yaml:8:66 spec.rules[0].proofs[0]: must be token, impersonated, certificate, request or requester:<namespace>/<service account>, not "word"',
  ],
  [
    "request for one account",
    tenant("shop", {
      rules: "[{ name: a, clusters: [east], namespaces: [a], serviceAccounts: [b], proofs: [token, request] }]",
    }),
    'all.yaml:8:95 spec.rules[0].proofs[1]: the proof "request" proves no account, so its rule must be for all (serviceAccounts: ["*"])',
  ],
  [
    "two rules of one name",
    tenant("shop", {
      rules: "[{ name: a, clusters: [east], namespaces: [a] }, { name: a, clusters: [east], namespaces: [b] }]",
    }),
    'all.yaml:8:61 spec.rules[1].name: another rule of this tenant is also called "a"',
  ],
  [
    "a minimum above the maximum",
    tenant("shop", { more: "profiles: { workload: { minimumSeconds: 90000 } }" }),
    "all.yaml:9:27 spec.profiles.workload.minimumSeconds: is more than maximumSeconds, 86400",
  ],
  [
    "a default above the maximum",
    tenant("shop", { more: "profiles: { workload: { maximumSeconds: 3600 } }" }),
    "all.yaml:9:15 spec.profiles.workload.defaultSeconds: is more than maximumSeconds, 3600",
  ],
  [
    "a maximum above the profile's cap",
    tenant("shop", { more: "profiles: { workload: { maximumSeconds: 7776001 } }" }),
    "all.yaml:9:27 spec.profiles.workload.maximumSeconds: must be at most 7776000, not 7776001",
  ],
  [
    "a burst below what comes in a second",
    tenant("shop", { more: "quotas: { rate: { perSecond: 10, burst: 9 } }" }),
    "all.yaml:9:36 spec.quotas.rate.burst: is less than perSecond, 10",
  ],
  [
    "requests for a wildcard in the middle",
    tenant("shop", { more: "requests: { dnsNames: [a.*.example] }" }),
    'all.yaml:9:26 spec.requests.dnsNames[0]: must be a DNS name in lower case, or *. and one; a label may be {namespace}, not "a.*.example"',
  ],
  [
    "requests for what is no address",
    tenant("shop", { more: "requests: { ips: [10.0.0.0/33] }" }),
    "all.yaml:9:21 spec.requests.ips[0]: must be an address, or address/bits",
  ],
  [
    "requests for a usage of authorities",
    tenant("shop", { more: "requests: { usages: [cert sign] }" }),
    'all.yaml:9:24 spec.requests.usages[0]: must be "signing" or "digital signature" or "content commitment" or "key encipherment" or "data encipherment" or "key agreement" or "encipher only" or "decipher only" or "server auth" or "client auth" or "code signing" or "email protection" or "s/mime" or "ipsec end system" or "ipsec tunnel" or "ipsec user" or "timestamping", not "cert sign"',
  ],
  [
    "requests that are too long for their authority",
    tenant("shop", { more: "requests: { maximumSeconds: 15768001 }" }),
    "all.yaml:5:1 spec.authority.validityDays: is less than twice requests.maximumSeconds, 15768001 s",
  ],
  [
    "CA certificates that are too long for their authority",
    tenant("shop", { more: "requests: { authorities: { namespaces: [shop], maximumSeconds: 15768001 } }" }),
    "all.yaml:5:1 spec.authority.validityDays: is less than twice requests.authorities.maximumSeconds, 15768001 s",
  ],
  [
    "CA certificates for nobody",
    tenant("shop", { more: "requests: { authorities: {} }" }),
    "all.yaml:9:15 spec.requests.authorities.namespaces: required",
  ],
  [
    "CA certificates for a wildcard",
    tenant("shop", { more: 'requests: { authorities: { namespaces: [shop], dnsNames: ["*.shop.example"] } }' }),
    'all.yaml:9:61 spec.requests.authorities.dnsNames[0]: must be a DNS name in lower case, without a wildcard, not "*.shop.example"',
  ],
  [
    "an authority too short for its leaves",
    tenant("shop", { more: "authority: { validityDays: 1 }" }),
    "all.yaml:9:16 spec.authority.validityDays: is less than twice profiles.workload.maximumSeconds, 86400 s",
  ],
  [
    "a private key",
    cluster("east", { keys: privateKey }),
    'all.yaml:8:13 spec.tokens.keys.jwks: not a JWKS of public keys: a key has the private member "d": only public keys belong here, and this one must be replaced where it is used',
  ],
  [
    "no keys",
    cluster("east", { keys: "{}" }),
    "all.yaml:8:5 spec.tokens.keys: must have exactly one of jwks, joined, proposed and url, or in a directory jwksFile",
  ],
  [
    "keys from two places",
    cluster("east", { keys: "{ joined: true, url: https://a.example }" }),
    "all.yaml:8:5 spec.tokens.keys: must have exactly one of jwks, joined, proposed and url, or in a directory jwksFile",
  ],
  [
    "keys not joined",
    cluster("east", { keys: "{ joined: false }" }),
    "all.yaml:8:13 spec.tokens.keys.joined: must be true, not false",
  ],
  [
    "keys without TLS",
    cluster("east", { keys: "{ url: http://a.example }" }),
    'all.yaml:8:13 spec.tokens.keys.url: must be an https:// URL, not "http://a.example"',
  ],
  [
    "a password in a URL",
    cluster("east", { keys: "{ url: https://a:b@c.example }" }),
    "all.yaml:8:13 spec.tokens.keys.url: must not hold a user or a password",
  ],
  [
    "a file that is not there",
    cluster("east", { keys: "{ jwksFile: a.json }" }),
    'all.yaml:8:13 spec.tokens.keys.jwksFile: there is no file "a.json"',
  ],
  [
    "a file elsewhere",
    cluster("east", { keys: "{ jwksFile: ../a.json }" }),
    'all.yaml:8:13 spec.tokens.keys.jwksFile: must be the path of a .json file below this document\'s directory, not "../a.json"',
  ],
  [
    "a wildcard to serve under",
    cluster("east", { servingNames: '["*.example"]' }),
    'all.yaml:9:18 spec.servingNames[0]: must be a DNS name in lower case, without a wildcard, not "*.example"',
  ],
  [
    "no name to serve under",
    cluster("east", { servingNames: "[]" }),
    "all.yaml:9:3 spec.servingNames: must be at least 1 long",
  ],
  [
    "a name to serve under twice",
    cluster("east", { servingNames: "[a.example, a.example]" }),
    'all.yaml:9:29 spec.servingNames[1]: "a.example" is listed twice',
  ],
  [
    "a requester that is no account",
    cluster("east", { more: "requesters: [{ account: istiod }]" }),
    'all.yaml:10:18 spec.requesters[0].account: must be <namespace>/<service account>, not "istiod"',
  ],
  [
    "a requester in no namespace",
    cluster("east", { more: "requesters: [{ account: a/b, namespace: A }]" }),
    'all.yaml:10:32 spec.requesters[0].namespace: must be a DNS label: 1 to 63 of a-z, 0-9 and -, with - not at an end, not "A"',
  ],
  [
    "a wildcard that a requester may serve under",
    cluster("east", { more: 'requesters: [{ account: a/b, servingNames: ["*.a"] }]' }),
    'all.yaml:10:47 spec.requesters[0].servingNames[0]: must be a DNS name in lower case, without a wildcard, not "*.a"',
  ],
  [
    "a default below the minimum",
    tenant("shop", { more: "profiles: { workload: { defaultSeconds: 500 } }" }),
    "all.yaml:9:27 spec.profiles.workload.defaultSeconds: is less than minimumSeconds, 600",
  ],
  [
    "a fragment in a URL",
    cluster("east", { keys: '{ url: "https://a.example/keys#1" }' }),
    "all.yaml:8:13 spec.tokens.keys.url: must not have a fragment",
  ],
  [
    "a URL without a host",
    cluster("east", { keys: "{ url: 'https://[' }" }),
    "all.yaml:8:13 spec.tokens.keys.url: is not a URL",
  ],
  [
    "a URL of nothing",
    cluster("east", { keys: "{ url: 'https://' }" }),
    "all.yaml:8:13 spec.tokens.keys.url: is not a URL",
  ],
  [
    "a port there is not",
    cluster("east", { keys: "{ url: 'https://a.example:65536/keys' }" }),
    "all.yaml:8:13 spec.tokens.keys.url: is not a URL",
  ],
  [
    "a symmetric key",
    cluster("east", { keys: "{ jwks: { keys: [{ kty: oct, k: c2VjcmV0 }] } }" }),
    'all.yaml:8:13 spec.tokens.keys.jwks: not a JWKS of public keys: a key has the private member "k": only public keys belong here, and this one must be replaced where it is used',
  ],
];

/** Of the file, and gone once it is JSON, or of metadata, which an API server has its own rules for. */
const files: readonly (readonly [what: string, text: string, line: string])[] = [
  [
    "an unknown field of metadata",
    head.replace("name: main", "name: main, namespace: x"),
    "all.yaml:3:25 metadata.namespace: unknown field",
  ],
  ["a key twice", `${head}kind: TrustRoot\n`, "all.yaml:4:1: map keys must be unique"],
  ["a tag", `${head}spec: !!js {}\n`, "all.yaml:4:7: unresolved tag: tag:yaml.org,2002:js"],
  ["YAML 1.1", `%YAML 1.1\n---\n${head}`, "all.yaml:3:1: must be YAML 1.2"],
  ["a merge", `${head}spec:\n  <<: { source: espalier }\n`, 'all.yaml:5:3 spec."<<": unknown field'],
  ["no map at all", "- a\n", "all.yaml:1:1: must be a map with apiVersion, kind, metadata and spec"],
];

export interface Refused {
  readonly what: string;
  readonly text: string;
  readonly line: string;
}

/** What an API server that has our definitions refuses as well. */
export const refusedDocuments: readonly Refused[] = rows.map(([what, text, line]) => ({ what, text, line }));

export const refused: readonly Refused[] = [
  ...refusedDocuments,
  ...files.map(([what, text, line]) => ({ what, text, line })),
];
