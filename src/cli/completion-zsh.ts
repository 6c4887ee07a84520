import type { Command } from './command.ts'
import type { Option } from './option.ts'

/** For zsh with its completion system (compinit), by its own `_arguments` and `_describe`. */
export function zshCompletion(commands: readonly Command[]): string {
  const single = commands.filter(({ name }) => !name.includes(' '))
  return [
    '#compdef ownkey',
    '# zsh completion of ownkey. In ~/.zshrc: eval "$(/path/to/ownkey completion zsh)"',
    '_ownkey() {',
    '  local -a commands',
    '  commands=(',
    ...single.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`),
    '  )',
    '  if (( CURRENT == 2 )); then _describe command commands; return; fi',
    '  local name=$words[2]',
    '  shift words; (( CURRENT-- ))',
    ...commands
      .filter(({ name }) => name.includes(' '))
      .map(
        ({ name }) =>
          `  if (( CURRENT > 2 )) && [[ "$name $words[2]" == "${name}" ]]; then name="${name}"; shift words; (( CURRENT-- )); fi`,
      ),
    '  case "$name" in',
    ...commands.map(command => `    "${command.name}") _arguments ${specifications(command, commands).join(' ')} ;;`),
    '  esac',
    '}',
    '# Where nothing has loaded the completion system yet, as in a bare ~/.zshrc.',
    'if (( ! $+functions[compdef] )); then autoload -Uz compinit && compinit -i; fi',
    'compdef _ownkey ownkey',
    '',
  ].join('\n')
}

function specifications(command: Command, commands: readonly Command[]): string[] {
  const { name, options, words } = command
  const subcommands = commands.filter(other => other.name.startsWith(`${name} `))
  const first = [
    ...(Array.isArray(words) ? words : []),
    ...(words === 'command' ? commands.filter(other => !other.name.includes(' ')).map(other => other.name) : []),
    ...subcommands.map(other => other.name.slice(name.length + 1)),
  ]
  return [
    ...Object.entries(options).map(([option, how]) => quoted(`--${option}${value(how)}`)),
    quoted('--help[explain it]'),
    ...(first.length > 0 ? [quoted(`1:word:(${first.join(' ')})`)] : []),
    ...(words === 'file' ? [quoted('*:file:_files')] : []),
  ]
}

function value({ placeholder, about, choices, completes }: Option<unknown>): string {
  const explained = `[${about.replaceAll(/[[\]:\\]/g, String.raw`\$&`)}]`
  if (placeholder === undefined) return explained
  const paths = completes === undefined ? ' ' : { folder: '_files -/', file: '_files' }[completes]
  const action = choices === undefined ? paths : `(${choices.join(' ')})`
  return `=${explained}:${choices === undefined ? placeholder : 'one of'}:${action}`
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
