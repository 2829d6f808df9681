/** Every command line of `espalier` that the documents have is one that the program itself takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command } from "commander";
import { toProgram } from "../../src/ctl/program.ts";
import { documents, read } from "./sources.ts";

interface Line {
  readonly document: string;
  /** What follows `espalier`. */
  readonly words: readonly string[];
}

const said: string[] = [];
const context = {
  stdout: () => {},
  stderr: (text: string) => void said.push(text),
  isTerminal: false,
  user: "",
  defaultSocket: "",
  now: () => new Date(),
  signals: { on: () => undefined, exit: (): never => assert.fail("exit") },
};

/** The program, whose verbs do nothing. */
function toIdle(command: Command = toProgram(context)): Command {
  for (const child of command.commands) toIdle(child);
  return command.commands.length > 0 ? command : command.action(() => {});
}

/** Lines that are indented or fenced, those that end in a backslash with the next. */
function blocks(document: string): readonly string[] {
  const text = read(document).replaceAll(/\\\n\s*/g, "");
  const fenced = [...text.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].map(([, block = ""]) => block);
  const indented = [...text.matchAll(/^ {4,}\S.*$/gm)].map(([line]) => line);
  return [...fenced.flatMap((block) => block.split("\n")), ...indented];
}

/** The words of a shell's command line up to what is the shell's own: a pipe, a file, a comment, another command. */
function toWords(line: string): readonly string[] {
  const words = line.match(/(?:"[^"]*"|'[^']*'|<[a-z][^>]*>|[^\s"'])+/g) ?? [];
  const end = words.findIndex((word) => /^(?:[|&>;#]|<$)/.test(word));
  return (end < 0 ? words : words.slice(0, end)).map((word) => word.replaceAll(/["']|[;)]+$/g, ""));
}

/** `hub` is what the documents call the command in the hub's pod. */
function commandsOf(document: string): readonly Line[] {
  return blocks(document).flatMap((line) =>
    [...line.matchAll(/(?:^ *|[(|&] *|-- )(?:espalier|hub) (?=[a-z-])(.*)/g)].map(([, rest = ""]) => ({
      document,
      words: toWords(rest),
    })),
  );
}

const lines = documents.flatMap(commandsOf);

test("the documents have command lines to look at", () => {
  assert.ok(lines.length > 80, `${lines.length} lines`);
});

for (const { document, words } of lines) {
  test(`${document}: espalier ${words.join(" ")}`, async () => {
    said.length = 0;
    await toIdle()
      .parseAsync([...words], { from: "user" })
      .catch((error: unknown) => assert.fail(`${String(error)}\n${said.join("")}`));
  });
}
