const WHOLE = /^\s*(?:(?:\.\/ownkey|sudo) |(?:ownkey: )?\S+:\d+: )/

/** Every line that people read fits a terminal of this many columns. */
export const COLUMNS = 80

/** Columns of the terminal; without one what COLUMNS says, else 80. */
export function terminalWidth(): number {
  const told = Number(process.env['COLUMNS'])
  return process.stdout.columns ?? (Number.isInteger(told) && told > 0 ? told : COLUMNS)
}

/** Whether to use colours: only on a terminal that has them, unless NO_COLOR is set (https://no-color.org). */
export function hasColour(stream: { readonly isTTY?: boolean } = process.stdout): boolean {
  return stream.isTTY === true && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}

/**
 * Breaks each line of a text between words, so that it fits 80 columns. Continuation lines are indented. Words, such as
 * long paths, are never cut. Commands (`./ownkey …`, `sudo …`) stay on one line, to be copied, and so do messages about a line of a
 * file (`file:12: …`), which editors read.
 */
export function fitted(text: string, indent = ''): string {
  return text
    .split('\n')
    .map(line => (WHOLE.test(line) ? line : broken(line, indent)))
    .join('\n')
}

function broken(line: string, indent: string): string {
  if (line.length <= COLUMNS) return line
  const lead = /^\s*/.exec(line)?.[0] ?? ''
  const rows: string[] = []
  let row = lead
  for (const word of line.slice(lead.length).split(' ')) {
    const isFirst = row === lead || row === lead + indent
    if (!isFirst && row.length + 1 + word.length > COLUMNS) {
      rows.push(row)
      row = lead + indent + word
    } else row += isFirst ? word : ` ${word}`
  }
  return [...rows, row].join('\n')
}

/** A word for a POSIX shell, quoted only where it must be. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : shellQuoted(text)
}

export function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
