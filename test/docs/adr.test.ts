import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './blocks.ts'

const folder = join(root, 'docs/adr')
const INDEX = 'README.md'
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
const decisions = readdirSync(folder)
  .filter(name => name !== INDEX)
  .toSorted()

const OTHER = String.raw`\[\d{4}\]\(\d{4}-[\w-]+\.md\)`
const STATUS = `(?:accepted|superseded by ${OTHER})(?:, amended by ${OTHER}(?:, ${OTHER})*)?`
const HEAD = new RegExp(
  String.raw`^# (?<number>\d{4}) \S.*\n\n\*\*Date\*\* \d{4}-\d\d-\d\d · \*\*Status\*\* ${STATUS}\n\n`,
)

test('every decision begins with the number of its file, a title, a date and a status', () => {
  const wrong = decisions.filter(name => HEAD.exec(read(name))?.groups?.['number'] !== name.slice(0, 4))
  assert.deepEqual(wrong, [], 'see docs/adr/README.md for the form')
})

test('every decision has a line of its own in the index, in the order of their numbers', () => {
  const lines = read(INDEX).matchAll(/^\| \[(?<number>\d{4})\]\((?<name>[^)]+)\) \| \S.*\|$/gm)
  const listed = Array.from(lines, ({ groups }) => [groups?.['number'], groups?.['name']])
  assert.deepEqual(
    listed,
    decisions.map(name => [name.slice(0, 4), name]),
  )
})

test('a status names existing decisions by their numbers', () => {
  const named = decisions.flatMap(name =>
    Array.from((HEAD.exec(read(name))?.[0] ?? '').matchAll(/\[(\d{4})\]\(([^)]+)\)/g), ([, number = '', file = '']) =>
      file.startsWith(`${number}-`) && existsSync(join(folder, file)) ? '' : `${name}: ${file}`,
    ),
  )
  assert.deepEqual(
    named.filter(wrong => wrong !== ''),
    [],
  )
})
