import type { ChatMessage, Conversation, Finding, FindingCode } from './engine.ts'
import { nextTurn, turnIsOver } from '../base/turns.ts'
import { shapeOf } from './json-text.ts'
import { checkPreference, meansPreference } from './preference-example.ts'
import { checkExample } from './training-example.ts'
import { TrainingLines, type TrainingLine } from './training-lines.ts'

/** Bounds of a training file: bytes, except where named otherwise. */
export const TRAINING_LIMITS = {
  file: 512 * 1024 * 1024,
  line: 1024 * 1024,
  /** Levels of nested JSON containers. Plain messages have 3, and a tool has 5 above its schema's first property. */
  depth: 64,
  /** Commas and colons outside of strings in one line. Reading more would hold up others for too long. */
  values: 20_000,
  minExamples: 10,
  /** More findings than this are not listed. */
  findings: 50,
} as const

export interface TrainingExample extends Conversation {
  /** 1-based. */
  readonly line: number
  /** Of a preference: the messages with the output that is not preferred; `messages` has the preferred one, and both have the same tools. */
  readonly nonPreferred?: readonly ChatMessage[]
}

/** What the lines of a training file are. A file has one of them. */
export type TrainingFormat = 'chat' | 'preference'

type Item = { readonly example: TrainingExample } | { readonly finding: Finding }

const error = (code: FindingCode, message: string, line?: number): { finding: Finding } => ({
  finding: {
    level: 'error',
    code,
    message: line === undefined ? message : `Line ${line}: ${message}`,
    ...(line && { line }),
  },
})

/**
 * Reads chat-format JSONL line by line (UTF-8, with or without byte order mark) in bounded memory, and yields to the event loop
 * every few milliseconds. Findings name line and rule and never quote the data.
 */
export async function* readTrainingFile(source: AsyncIterable<Uint8Array>): AsyncGenerator<Item> {
  let examples = 0
  const lines = new TrainingLines(TRAINING_LIMITS)
  const ofOneFormat = formatGuard()
  for await (const chunk of source) {
    lines.take(chunk)
    for (let line = lines.next(); line !== undefined; line = lines.next()) {
      const item = ofOneFormat(itemOf(line))
      if (item !== undefined && 'example' in item) examples += 1
      if (item !== undefined) yield item
      if (item !== undefined && 'finding' in item && FATAL.has(item.finding.code)) return
      if (turnIsOver()) await nextTurn()
    }
  }
  const last = lines.last()
  const item = ofOneFormat(last && itemOf(last))
  if (item !== undefined && 'example' in item) examples += 1
  if (item !== undefined) yield item
  if (examples < TRAINING_LIMITS.minExamples) {
    const message = `Training file has ${examples} example(s), but must have at least ${TRAINING_LIMITS.minExamples} examples`
    yield error('invalid_n_examples', message)
  }
}

/** Counts examples and lists problems. It stops reading when a finding makes the rest meaningless, or the list is full. */
export async function checkTrainingFile(
  source: AsyncIterable<Uint8Array>,
): Promise<{ examples: number; format?: 'preference'; findings: Finding[] }> {
  let examples = 0
  let isPreference = false
  const findings: Finding[] = []
  for await (const item of readTrainingFile(source)) {
    if ('example' in item) {
      examples += 1
      isPreference = formatOf(item.example) === 'preference'
    } else findings.push(item.finding)
    if (findings.length < TRAINING_LIMITS.findings) continue
    const message = `the file was read up to line ${findings.at(-1)?.line ?? 1}: what follows was not looked at`
    findings.push(error('more_findings', message).finding)
    break
  }
  return { examples, findings, ...(isPreference ? { format: 'preference' } : {}) }
}

function formatOf({ nonPreferred }: TrainingExample): TrainingFormat {
  return nonPreferred === undefined ? 'chat' : 'preference'
}

/** Refuses lines of the other format than the first example has. */
function formatGuard(): (item: Item | undefined) => Item | undefined {
  let first: TrainingFormat | undefined
  return item => {
    if (item === undefined || 'finding' in item) return item
    const format = formatOf(item.example)
    first ??= format
    if (format === first) return item
    const [here, before] = [format, first].map(one => (one === 'chat' ? '"messages"' : '"input" and two outputs'))
    return error('mixed_formats', `has ${here}, and the lines before have ${before}`, item.example.line)
  }
}

/** Findings after which the rest of the file is not read. */
const FATAL = new Set<FindingCode>(['file_too_large', 'not_utf8', 'not_jsonl'])

function itemOf({ line, bytes, problem }: TrainingLine): Item | undefined {
  if (problem === undefined) return bytes.length === 0 ? undefined : readLine(bytes, line)
  return error(problem.code, problem.message, line)
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readLine(bytes: Buffer, line: number): Item | undefined {
  if (line === 1 && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))) {
    return error('not_utf8', 'the file is UTF-16; save it as UTF-8', line)
  }
  if (bytes.includes(0)) return error('not_utf8', 'the file holds zero bytes: it is not text in UTF-8', line)
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return error('invalid_utf8', 'is not valid UTF-8', line)
  }
  if (line === 1 && text.startsWith('\uFEFF')) text = text.slice(1)
  if (text.trim() === '') return undefined
  const shape = isLarge(bytes) ? shapeOf(text, TRAINING_LIMITS.depth) : undefined
  if (shape !== undefined && shape.depth > TRAINING_LIMITS.depth) {
    return error('too_deeply_nested', `nests JSON deeper than ${TRAINING_LIMITS.depth} levels`, line)
  }
  if (shape !== undefined && shape.values > TRAINING_LIMITS.values) {
    return error('too_many_values', `holds more than ${TRAINING_LIMITS.values} JSON values`, line)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return error('invalid_json', 'is not valid JSON; write one JSON object on each line', line)
  }
  if (Array.isArray(value)) {
    return error('not_jsonl', 'is a JSON array; write one JSON object on each line, without brackets and commas', line)
  }
  const checked = meansPreference(value) ? checkPreference(value) : checkExample(value)
  if (typeof checked === 'string') return error(...(checked.split('|') as [FindingCode, string]), line)
  return { example: { line, ...checked } }
}

/** Most lines have fewer brackets than the limit has levels, and few commas; counting those is much faster than parsing every character. */
function isLarge(bytes: Buffer): boolean {
  const { depth, values } = TRAINING_LIMITS
  return hasMoreThan(bytes, [91, 123], depth) || (bytes.length > values && hasMoreThan(bytes, [44, 58], values))
}

function hasMoreThan(bytes: Buffer, wanted: readonly number[], most: number): boolean {
  let found = 0
  for (const byte of wanted) {
    for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) {
      found += 1
      if (found > most) return true
    }
  }
  return false
}
