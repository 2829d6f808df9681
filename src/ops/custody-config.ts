/** Where an issuer's private keys are: files, its database, a PKCS #11 token. */
import { z } from "zod";

const path = z.string().min(1);

export const custodySchema = z
  .strictObject({
    sealed: z
      .strictObject({
        keyFile: path.describe("File with the key that seals them: 32 random bytes in base64, for the issuer alone."),
      })
      .optional()
      .describe("In the database, sealed: several issuers on one database share them."),
    pkcs11: z
      .strictObject({
        module: path.describe("The PKCS #11 module: a shared library."),
        token: z.string().min(1).max(32).describe("Label of the token."),
        pinFile: path.describe("File with the user's PIN, for the issuer alone; read for each login."),
        sessions: z
          .int()
          .min(1)
          .max(16)
          .default(2)
          .describe("Sessions at once; each is a process of its own, so that the module cannot harm the issuer."),
        deadlineMs: z
          .int()
          .min(100)
          .max(60_000)
          .default(5000)
          .describe("How long one signature may take, in milliseconds; then its session is given up."),
      })
      .optional()
      .describe("In a token: they are made there and never leave. Needs Node 26.1 or later."),
  })
  .superRefine((kinds, context) => {
    const named = Object.entries(kinds).flatMap(([kind, settings]) => (settings === undefined ? [] : [kind]));
    if (named.length > 1) context.addIssue({ code: "custom", message: `expected one of ${named.join(" and ")}` });
  })
  .prefault({})
  .describe("Where private keys are; files in keys if it names nothing.");

export type CustodySettings = z.infer<typeof custodySchema>;
