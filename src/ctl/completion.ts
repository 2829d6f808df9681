/** `completion`: scripts for shells, made from the tree of verbs itself, so that they never lag behind it. */
import { Argument, type Command } from "commander";
import type { Context } from "./context.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

export function addCompletion(program: Command, { stdout }: Context): void {
  program
    .command("completion")
    .description("Prints a completion script.")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .addHelpText(
      "after",
      "\nExamples:\n  source <(espalier completion bash)\n  espalier completion fish > ~/.config/fish/completions/espalier.fish",
    )
    .action((shell: Shell) => stdout(scripts[shell](toWords(program))));
}

/** What may follow each path of verbs: `""` is the program itself. */
function toWords(command: Command, path = ""): ReadonlyMap<string, readonly string[]> {
  const words = new Map<string, readonly string[]>();
  const options = command.options.flatMap((option) =>
    option.long === undefined || option.long === null ? [] : [option.long],
  );
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  words.set(path, [...command.commands.map((child) => child.name()), ...choices, ...options, "--help"]);
  for (const child of command.commands) {
    for (const [key, value] of toWords(child, `${path} ${child.name()}`.trim())) words.set(key, value);
  }
  return words;
}

const scripts: Readonly<Record<Shell, (words: ReadonlyMap<string, readonly string[]>) => string>> = {
  bash: (words) => `${lookup(words)}
_espalier() {
  local verbs="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) _espalier_words "\${verbs:+$verbs }$word" >/dev/null && verbs="\${verbs:+$verbs }$word" ;; esac
  done
  COMPREPLY=($(compgen -W "$(_espalier_words "$verbs")" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [[ \${#COMPREPLY[@]} -gt 0 ]] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _espalier espalier
`,
  zsh: (words) => `#compdef espalier
${lookup(words)}
_espalier() {
  local verbs="" word
  for word in "\${words[@]:1:CURRENT-2}"; do
    case "$word" in -*) ;; *) _espalier_words "\${verbs:+$verbs }$word" >/dev/null && verbs="\${verbs:+$verbs }$word" ;; esac
  done
  compadd -- $(_espalier_words "$verbs") || _files
}
compdef _espalier espalier
`,
  fish: (words) => `${[...words]
    .map(([path, next]) => {
      const seen = path.split(" ").filter((word) => word !== "");
      const condition =
        seen.length === 0
          ? "__fish_use_subcommand"
          : seen.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
      return `complete -c espalier -n "${condition}" -a "${next.join(" ")}"`;
    })
    .join("\n")}
`,
};

/** A shell function that prints what may follow a path, and fails for what is none. */
function lookup(words: ReadonlyMap<string, readonly string[]>): string {
  const cases = [...words].map(([path, next]) => `    "${path}") echo "${next.join(" ")}" ;;`);
  return `_espalier_words() {
  case "$1" in
${cases.join("\n")}
    *) return 1 ;;
  esac
}`;
}
