import type { Command } from './command.ts'

const GAP = '  '

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

/** One command on at most 20 lines of 80 columns: how it is called, what it takes, an example. */
export function commandHelp({ name, summary, synopsis, notes = [], options, examples }: Command): string {
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
  const rows = entries.map(
    ([option, { placeholder = '', about }]) => [`--${option} ${placeholder}`.trimEnd(), about] as const,
  )
  return [
    `Usage: ./ownkey ${usage.join(' ')}`,
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    ...notes,
    ...(rows.length === 0 ? [] : ['', ...table(rows)]),
    '',
    ...examples.map((example, index) => `${index === 0 ? 'Example:' : '        '} ./ownkey ${example}`),
    '',
  ].join('\n')
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `${GAP}${left.padEnd(width)}${GAP}${right}`)
}
