/** What the demo says, and what it expected. One thing that did not happen fails the whole. */

export interface Report {
  chapter(title: string): void;
  say(text: string): void;
  /** One expectation: said either way, and remembered when it did not hold. */
  expect(what: string, holds: boolean, seen?: string): void;
  readonly failures: readonly string[];
}

export function openReport(write: (text: string) => void): Report {
  const failures: string[] = [];
  let chapters = 0;
  return {
    chapter: (title) => {
      chapters += 1;
      write(`\n${chapters}. ${title}\n`);
    },
    say: (text) => write(`   ${text}\n`),
    expect: (what, holds, seen = "") => {
      write(
        `   ${holds ? "ok " : "NOT"} ${what}${seen === "" ? "" : `\n       ${seen.trim().replaceAll("\n", "\n       ")}`}\n`,
      );
      if (!holds) failures.push(what);
    },
    failures,
  };
}
