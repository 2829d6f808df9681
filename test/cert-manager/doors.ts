/** The doors that the chart's values open, as the agent reads the file that helm makes of them: `test/cert-manager/run`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { readAgentText } from "../../src/ops/config.ts";
import { helm } from "./stage.ts";

const chart = fileURLToPath(new URL("../../charts/espalier-agent", import.meta.url));
const configMap = z.object({ data: z.object({ "agent.yaml": z.string() }) });
const values = ["hub=hub.example", "cluster=east", "issuers={issuer:15443}", "hubRoot=-----BEGIN CERTIFICATE-----"];

for (const certManager of [false, true])
  for (const signingRequests of [false, true])
    test(`the chart opens the doors that its values say: cert-manager's ${certManager}, Kubernetes' own ${signingRequests}`, () => {
      const doors = [`kubernetes.certManager=${certManager}`, `kubernetes.signingRequests=${signingRequests}`];
      const set = [...values, ...doors].flatMap((one) => ["--set", one]);
      const made = helm(["template", "espalier-agent", chart, "-n", "x", "-s", "templates/configmap.yaml", ...set]);
      const { kubernetes } = readAgentText(configMap.parse(parse(made)).data["agent.yaml"], "agent.yaml");
      assert.deepEqual([kubernetes?.certManager, kubernetes?.signingRequests], [certManager, signingRequests]);
    });
