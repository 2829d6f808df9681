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
      "\nExamples:\n  source <(espalier completion bash)\n  source <(espalier completion zsh)      # after compinit\n  espalier completion fish > ~/.config/fish/completions/espalier.fish",
    )
    .action((shell: Shell) => stdout(scripts[shell](toWords(program))));
}

/**
 * What may follow: a path of verbs (the program's is empty), with a verb or a value; a path and "-", with an option; a path and an
 * option that takes a value, with that. Nothing at all stands for a file.
 */
function toWords(command: Command, path: readonly string[] = []): ReadonlyMap<string, readonly string[]> {
  const flagsOf = ({ short, long }: { readonly short?: string; readonly long?: string }): readonly string[] =>
    [long, short].filter((flag) => flag !== undefined);
  const options = [...command.options.flatMap(flagsOf), "--help"];
  const next = [
    ...command.commands.map((child) => child.name()),
    ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  ];
  const at = (...words: readonly string[]): string => [...path, ...words].join(" ");
  const takesNothing = next.length === 0 && command.registeredArguments.length === 0;
  return new Map([
    [at(), takesNothing ? options : next],
    [at("-"), options],
    ...command.options
      .filter((option) => option.required || option.optional)
      .flatMap((option) => flagsOf(option).map((flag) => [at(flag), option.argChoices ?? []] as const)),
    ...command.commands.flatMap((child) => [...toWords(child, [...path, child.name()])]),
  ]);
}

const scripts: Readonly<Record<Shell, (words: ReadonlyMap<string, readonly string[]>) => string>> = {
  bash: (words) => `${lookup(words)}
_espalier() {
  local verbs="" word last="\${COMP_WORDS[COMP_CWORD - 1]}" typed="\${COMP_WORDS[COMP_CWORD]}" next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] || { _espalier_words "\${verbs:+$verbs }$word" >/dev/null && verbs="\${verbs:+$verbs }$word"; }
  done
  ${choose}
  COMPREPLY=($(compgen -W "$next" -- "$typed"))
}
complete -o default -F _espalier espalier
`,
  zsh: (words) => `#compdef espalier
${lookup(words)}
_espalier() {
  local verbs="" word last="\${words[CURRENT - 1]}" typed="\${words[CURRENT]}" next
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] || { _espalier_words "\${verbs:+$verbs }$word" >/dev/null && verbs="\${verbs:+$verbs }$word"; }
  done
  ${choose}
  if [[ -n $next ]]; then compadd -- \${=next}; else _files; fi
}
compdef _espalier espalier
`,
  fish: (words) => `function __espalier_words
  switch "$argv"
${[...words].map(([path, next]) => `    case "${path}"\n      string split -n " " -- "${next.join(" ")}"`).join("\n")}
    case "*"
      return 1
  end
  return 0
end
function __espalier_next
  set -l verbs
  set -l before (commandline -opc)[2..]
  set -l typed (commandline -ct)
  for word in $before
    string match -q -- "-*" $word; and continue
    __espalier_words $verbs $word >/dev/null; and set -a verbs $word
  end
  set -l next
  if set -q before[1]; and string match -q -- "-*" $before[-1]; and set next (__espalier_words $verbs $before[-1])
  else if string match -q -- "-*" $typed
    set next (__espalier_words $verbs -)
  else
    set next (__espalier_words $verbs)
  end
  if set -q next[1]
    printf "%s\\n" $next
  else
    __fish_complete_path $typed
  end
end
complete -c espalier -f -a "(__espalier_next)"
`,
};

/** The value of an option, an option, or what the verbs so far are followed by; in bash and in zsh. */
const choose = `if [[ $last == -* ]] && next=$(_espalier_words "\${verbs:+$verbs }$last"); then :
  elif [[ $typed == -* ]]; then next=$(_espalier_words "\${verbs:+$verbs }-")
  else next=$(_espalier_words "$verbs"); fi`;

/** A shell function that prints what may follow, and fails for what is none. */
function lookup(words: ReadonlyMap<string, readonly string[]>): string {
  const cases = [...words].map(([path, next]) => `    "${path}") echo "${next.join(" ")}" ;;`);
  return `_espalier_words() {
  case "$1" in
${cases.join("\n")}
    *) return 1 ;;
  esac
}`;
}
