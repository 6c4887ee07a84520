import type { Command } from './command.ts'

const ANY = ['--help']

/** For bash 3.2 and later. `./ownkey` is completed like `ownkey`: bash uses the last part of a path. */
export function bashCompletion(commands: readonly Command[]): string {
  const names = [...new Set(commands.map(({ name }) => name.split(' ', 1)[0] ?? ''))]
  const second = commands.filter(({ name }) => name.includes(' '))
  return [
    '# bash completion of ownkey. In ~/.bashrc: eval "$(/path/to/ownkey completion bash)"',
    '_ownkey() {',
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} name=${COMP_WORDS[1]} IFS=$' \\t\\n'",
    '  COMPREPLY=()',
    "  # bash takes '--option=value' for three words.",
    '  if [ "$cur" = "=" ]; then cur=; elif [ "$prev" = "=" ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi',
    `  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${names.join(' ')} --help --version" -- "$cur")); return; fi`,
    ...second.map(
      ({ name }) => `  [ "$COMP_CWORD" -gt 2 ] && [ "$name \${COMP_WORDS[2]}" = "${name}" ] && name="${name}"`,
    ),
    '  case "$name $prev" in',
    ...commands.flatMap(values),
    '  esac',
    '  case "$name" in',
    ...commands.map(command => `    "${command.name}") ${reply(wordsAfter(command, commands))} ;;`),
    '  esac',
    ...fileWords(commands),
    '}',
    'complete -F _ownkey ownkey',
    '',
  ].join('\n')
}

/** What may follow a command: its options, and the words it knows. */
function wordsAfter({ name, options, words }: Command, commands: readonly Command[]): string[] {
  const subcommands = commands.filter(other => other.name.startsWith(`${name} `))
  const own = words === 'command' ? commands.map(other => other.name.split(' ', 1)[0] ?? '') : words
  return [
    ...(Array.isArray(own) ? [...new Set(own)] : []),
    ...subcommands.map(other => other.name.slice(name.length + 1)),
    ...Object.keys(options).map(option => `--${option}`),
    ...ANY,
  ]
}

function values({ name, options }: Command): string[] {
  return Object.entries(options)
    .filter(([, { placeholder }]) => placeholder !== undefined)
    .map(([option, { choices, completes }]) => {
      const files = completes && { folder: 'd', file: 'f' }[completes]
      const done = choices === undefined ? (files === undefined ? ':' : paths(files)) : reply(choices)
      return `    "${name} --${option}") ${done}; return ;;`
    })
}

const reply = (words: readonly string[]): string => `COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$cur"))`

/** One on each line, since they may contain blanks. */
const paths = (kind: string): string =>
  `IFS=$'\\n'; COMPREPLY=($(compgen -${kind} -- "$cur")); compopt -o filenames 2>/dev/null`

function fileWords(commands: readonly Command[]): string[] {
  const names = commands.filter(({ words }) => words === 'file').map(({ name }) => `"${name} "[!-]*|"${name} "`)
  return names.length === 0 ? [] : [`  case "$name $cur" in ${names.join('|')}) ${paths('f')} ;; esac`]
}
