import type { Command } from './command.ts'
import { completionFor, SHELLS } from './completion.ts'
import type { Option } from './option.ts'

const GAP = '  '
const WIDTH = 80

/** What each command does, in a line. */
export function overview(commands: readonly Command[]): string {
  return [
    "OwnKey: a cloud like Azure OpenAI, its data sealed under its customers' keys.",
    '',
    'Usage: ./ownkey COMMAND [options]',
    '',
    ...table(commands.map(({ name, summary }) => [name, summary])),
    '',
    'More on one of them: ./ownkey help COMMAND',
    'To see it all:       ./ownkey demo',
    '',
  ].join('\n')
}

/**
 * One command on at most 20 lines of 80 columns: how it is called, what it takes, an example.
 * @param all explains the rarely needed options too, on as many lines as that takes
 */
export function commandHelp(command: Command, { all = false } = {}): string {
  const { name, summary, synopsis, notes = [], options, examples } = command
  const entries = Object.entries(options)
  const needed = entries
    .filter(([, { isNeeded }]) => isNeeded)
    .map(([option, { placeholder }]) => `--${option} ${placeholder}`)
  const usage = [
    name,
    ...(synopsis === undefined ? [] : [synopsis]),
    ...needed,
    ...(entries.length > needed.length ? ['[options]'] : []),
  ]
  const shown = entries.filter(([, { isRare }]) => all || isRare !== true)
  const rows = shown.map(([option, one]) => [written(option, one), one.about] as const)
  const rare = entries.filter(entry => !shown.includes(entry)).map(([option, one]) => written(option, one))
  return [
    `Usage: ./ownkey ${usage.join(' ')}`,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...notes,
    ...(rows.length === 0 ? [] : ['', ...table(rows)]),
    ...(rare.length === 0 ? [] : rarely(name, rare)),
    '',
    ...examples.map((example, index) => `${index === 0 ? 'Example:' : '        '} ./ownkey ${example}`),
    '',
  ].join('\n')
}

/** All help texts and completions, each after a line `=== COMMAND`: src/cli/help.txt, which the launcher shows without Node.js. */
export function allHelp(commands: readonly Command[]): string {
  const sections = commands.flatMap(command => [
    [command.name, commandHelp(command)],
    ...(Object.values(command.options).some(({ isRare }) => isRare === true)
      ? [[`${command.name} --all`, commandHelp(command, { all: true })]]
      : []),
  ])
  const completions = SHELLS.map(shell => [`completion: ${shell}`, completionFor(shell, commands)])
  return [['*', overview(commands)], ...sections, ...completions].map(([name, text]) => `=== ${name}\n${text}`).join('')
}

function written(option: string, { placeholder = '' }: Option<unknown>): string {
  return `--${option} ${placeholder}`.trimEnd()
}

/** Names options on as few lines as they need. */
function rarely(name: string, options: readonly string[]): string[] {
  const lines = ['']
  for (const option of options) {
    const last = lines.at(-1) ?? ''
    if (`${last} ${option},`.length > WIDTH) lines.push(`${GAP}${option},`)
    else lines[lines.length - 1] = last === '' ? `${GAP}${option},` : `${last} ${option},`
  }
  const last = (lines.pop() ?? '').slice(0, -1)
  return [`Rarely needed (./ownkey help ${name} --all):`, ...lines, last]
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${GAP}${left.padEnd(width)}${GAP}${right}`)
}
