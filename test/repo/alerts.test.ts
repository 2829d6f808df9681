/** The alert rules name what there is. test/peers has Prometheus itself judge them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { metricsOf } from "./metrics.ts";
import { read } from "./sources.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const file: { readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] } = parse(
  read("charts/espalier-issuer/files/alerts.yaml"),
);
const rules = file.groups.flatMap((group) => group.rules);
const metrics = new Map(
  [...metricsOf("issuer"), ...metricsOf("agent")].map(([name = "", , labels = ""]) => [
    name.replaceAll("`", ""),
    labels.split(", "),
  ]),
);
/** What Prometheus adds to everything that it scrapes. */
const scraped = ["instance", "job"];

test("an alert has a name of its own, a severity, and says what and why", () => {
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, labels, annotations } of rules) {
    assert.match(alert, /^Espalier[A-Z]/);
    assert.deepEqual(Object.keys(labels), ["severity"], alert);
    assert.ok(["critical", "warning", "info"].includes(labels["severity"] ?? ""), alert);
    assert.deepEqual(Object.keys(annotations).sort(), ["description", "summary"], alert);
  }
});

test("every metric that an alert names is one that the code has, and so is every label", () => {
  for (const { alert, expr, annotations } of rules) {
    const named = [...expr.matchAll(/\b(?:espalier|citadel)_\w+/g)].map(([name]) => name);
    assert.ok(named.length > 0, alert);
    const labels = [...scraped];
    for (const name of named) {
      const own = metrics.get(name);
      assert.ok(own !== undefined, `${alert}: there is no metric ${name}`);
      labels.push(...own);
    }
    const used = [
      ...[...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside = ""]) => [
        ...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g),
      ]),
      ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, inside = ""]) => [...inside.matchAll(/(\w+)/g)]),
      ...Object.values(annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)]),
    ].map(([, label = ""]) => label);
    for (const label of used) assert.ok(labels.includes(label), `${alert}: there is no label ${label}`);
  }
});

test("docs/operating.md says of every alert where to look first, and of no other", () => {
  const told = [...read("docs/operating.md").matchAll(/`(Espalier[A-Z]\w+)`/g)].map(([, name = ""]) => name);
  assert.deepEqual(told.sort(), rules.map(({ alert }) => alert).sort());
});
