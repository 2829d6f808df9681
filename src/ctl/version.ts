import { readFileSync } from "node:fs";
import { z } from "zod";

/** The package's own version: beside src/ in a checkout, beside dist/ where it is installed. */
export const version = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))).version;
