import type { Command } from './command.ts'
import type { Option } from './option.ts'

/** For fish 3 and later. */
export function fishCompletion(commands: readonly Command[]): string {
  const single = commands.filter(({ name }) => !name.includes(' '))
  return [
    '# fish completion of ownkey: ./ownkey completion fish > ~/.config/fish/completions/ownkey.fish',
    'complete -c ownkey -f',
    ...single.map(({ name, summary }) => line('__fish_use_subcommand', `-a ${name} -d ${quoted(summary)}`)),
    ...commands.flatMap(command => linesOf(command, commands)),
    '',
  ].join('\n')
}

function linesOf(command: Command, commands: readonly Command[]): string[] {
  const { name, options, words } = command
  const [first = '', second] = name.split(' ')
  const subcommands = commands.filter(other => other.name.startsWith(`${name} `))
  const narrower = subcommands.map(other => other.name.slice(name.length + 1))
  const here = [
    `__fish_seen_subcommand_from ${first}`,
    ...(second === undefined ? [] : [`__fish_seen_subcommand_from ${second}`]),
    ...narrower.map(word => `not __fish_seen_subcommand_from ${word}`),
  ].join('; and ')
  const known =
    words === 'command' ? commands.filter(other => !other.name.includes(' ')).map(other => other.name) : (words ?? [])
  return [
    ...(known === 'file' ? [line(here, '-F')] : []),
    ...(Array.isArray(known) && known.length > 0 ? [line(here, `-a ${quoted(known.join(' '))}`)] : []),
    ...subcommands.map(({ summary }, index) => line(here, `-a ${narrower[index]} -d ${quoted(summary)}`)),
    ...Object.entries(options).map(([option, how]) => line(here, `-l ${option} ${value(how)}-d ${quoted(how.about)}`)),
  ]
}

function value({ placeholder, choices, completes }: Option<unknown>): string {
  if (placeholder === undefined) return ''
  if (choices !== undefined) return `-x -a ${quoted(choices.join(' '))} `
  if (completes === 'folder') return "-x -a '(__fish_complete_directories)' "
  return completes === 'file' ? '-r -F ' : '-x '
}

const line = (condition: string, rest: string): string => `complete -c ownkey -n ${quoted(condition)} ${rest}`

const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`
