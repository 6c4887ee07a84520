import { readdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Figure } from './figure.ts'

interface Bench {
  figures?: () => Promise<Figure[]>
}

function row(figure: Figure): string[] {
  const value = figure.value >= 100 ? Math.round(figure.value).toLocaleString('en') : figure.value.toPrecision(3)
  return [figure.name, value, figure.unit, figure.ratio?.toFixed(2) ?? '', figure.against ?? '']
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(cells => cells[column]!.length)))
  const line = (cells: string[]) => cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')
  const [head, ...body] = rows
  return [line(head!), widths.map(width => '-'.repeat(width)).join('-|-'), ...body.map(line)].join('\n')
}

/** Runs every module of this folder that exports `figures`, one after the other; `names` limits them (`crypto`). */
async function run(names: readonly string[]): Promise<Figure[]> {
  const files = (await readdir(import.meta.dirname))
    .filter(file => file.endsWith('.ts') && !file.includes('.test.'))
    .sort()
  const all: Figure[] = []
  for (const file of files) {
    const name = file.slice(0, -'.ts'.length)
    if (name === 'run' || (names.length > 0 && !names.includes(name))) continue
    const { figures } = (await import(new URL(file, import.meta.url).href)) as Bench
    if (figures !== undefined) all.push(...(await figures()))
  }
  return all
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const measured = await run(positionals)
const head = ['figure', 'value', 'unit', 'ratio', 'against']
process.stdout.write(
  values.json ? `${JSON.stringify(measured, null, 2)}\n` : `${table([head, ...measured.map(row)])}\n`,
)
