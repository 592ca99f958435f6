import type { Command } from 'commander'
import { placesOf, type Flag, type Place } from './command-words.ts'

/**
 * Renders the completion script for a command tree. Each script does the same: it walks the words before the cursor down
 * the tree, offers the values of the flag before the cursor, and else the commands and flags of that place.
 */
export function renderCompletion(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const places = placesOf(program)
  const name = program.name()
  switch (shell) {
    case 'bash':
      return renderBash(name, places)
    case 'zsh':
      return renderZsh(name, places)
    case 'fish':
      return renderFish(name, places)
  }
}

function renderBash(name: string, places: readonly Place[]): string {
  const offer = (what: string): string => `COMPREPLY=($(compgen ${what} -- "$word"))`
  const value = ({ value: kind, choices }: Flag): string =>
    ({
      none: '',
      text: '',
      file: offer('-f'),
      directory: offer('-d'),
      choice: offer(`-W ${quote(choices.join(' '))}`),
    })[kind]
  return `# bash completion for ${name}
_${name}() {
  local IFS=$' \\n' word="\${COMP_WORDS[COMP_CWORD]}" place="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$place \${COMP_WORDS[index]}" in
      ${childPaths(places)}) place="$place \${COMP_WORDS[index]}" ;;
    esac
  done
  COMPREPLY=()
  case "$place \${COMP_WORDS[COMP_CWORD-1]}" in
${flagsWithValue(places, (flag) => value(flag) || ':')}
  esac
  case "$place" in
${places.map((place) => `    ${quote(place.path)}) ${offer(`-W ${quote(wordsOf(place).join(' '))}`)} ;;`).join('\n')}
  esac
}
complete -F _${name} ${name}
`
}

function renderZsh(name: string, places: readonly Place[]): string {
  const value = ({ value: kind, choices }: Flag): string =>
    ({
      none: '',
      text: ':',
      file: '_files',
      directory: '_files -/',
      choice: `compadd ${choices.map(quote).join(' ')}`,
    })[kind]
  const entry = (word: string, description: string): string =>
    quote(`${word.replaceAll(':', '\\:')}${description === '' ? '' : `:${description}`}`)
  const block = ({ path, words, flags }: Place): string => `    ${quote(path)})
      commands=(${words.map(({ word, description }) => entry(word, description)).join(' ')})
      flags=(${flags.flatMap((flag) => flag.names.map((flagName) => entry(flagName, flag.description))).join(' ')})
      ;;`
  return `#compdef ${name}
_${name}() {
  local place="" index
  local -a commands flags
  for ((index = 2; index < CURRENT; index++)); do
    case "$place \${words[index]}" in
      ${childPaths(places)}) place="$place \${words[index]}" ;;
    esac
  done
  case "$place \${words[CURRENT-1]}" in
${flagsWithValue(places, value)}
  esac
  case "$place" in
${places.map(block).join('\n')}
  esac
  _describe command commands
  _describe -o option flags
}
if [[ "\${funcstack[1]}" == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`
}

function renderFish(name: string, places: readonly Place[]): string {
  const at = (path: string): string => `complete -c ${name} -n ${quote(`__${name}_at ${quote(path)}`)}`
  const flag = ({ names, description, value, choices }: Flag): string => {
    const spelled = names.map((one) => (one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`)).join(' ')
    const rest = {
      none: '',
      text: '-x',
      file: '-rF',
      directory: "-xa '(__fish_complete_directories)'",
      choice: `-xa ${quote(choices.join(' '))}`,
    }
    return `${spelled} ${rest[value]} -d ${quote(description)}`
  }
  const lines = places.flatMap(({ path, words, flags }) => [
    ...words.map(({ word, description }) => `${at(path)} -a ${quote(word)} -d ${quote(description)}`),
    ...flags.map((one) => `${at(path)} ${flag(one)}`),
  ])
  return `# fish completion for ${name}
function __${name}_at
  set -l place ''
  for word in (commandline -opc)[2..-1]
    if contains -- "$place $word" ${places
      .slice(1)
      .map(({ path }) => quote(path))
      .join(' ')}
      set place "$place $word"
    end
  end
  test "$place" = "$argv[1]"
end
complete -c ${name} -f
${lines.join('\n')}
`
}

/** The pattern of a shell's `case` for every place but the root. */
function childPaths(places: readonly Place[]): string {
  return places
    .slice(1)
    .map(({ path }) => quote(path))
    .join('|')
}

/** Lines of a shell's `case` over a place and the flag before the cursor. */
function flagsWithValue(places: readonly Place[], offer: (flag: Flag) => string): string {
  return places
    .flatMap(({ path, flags }) =>
      flags
        .filter(({ value }) => value !== 'none')
        .map(
          (flag) => `    ${flag.names.map((name) => quote(`${path} ${name}`)).join('|')}) ${offer(flag)}; return ;;`,
        ),
    )
    .join('\n')
}

function wordsOf({ words, flags }: Place): string[] {
  return [...words.map(({ word }) => word), ...flags.flatMap(({ names }) => names)]
}

/** In single quotes, as all three shells read them. fish also reads backslashes there, so none may be in the text. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
