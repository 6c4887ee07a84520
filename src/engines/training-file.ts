import type { ChatMessage, Finding } from './engine.ts'
import { checkExample } from './training-example.ts'

/** Bounds of a training file: bytes, except where named otherwise. */
export const TRAINING_LIMITS = {
  file: 512 * 1024 * 1024,
  line: 1024 * 1024,
  /** Nested JSON containers; a valid example has 3. */
  depth: 16,
  minExamples: 10,
  /** More findings than this are not listed. */
  findings: 50,
} as const

export interface TrainingExample {
  /** 1-based. */
  readonly line: number
  readonly messages: readonly ChatMessage[]
}

type Item = { readonly example: TrainingExample } | { readonly finding: Finding }

const error = (code: string, message: string, line?: number): { finding: Finding } => ({
  finding: {
    level: 'error',
    code,
    message: line === undefined ? message : `Line ${line}: ${message}`,
    ...(line && { line }),
  },
})

/**
 * Reads chat-format JSONL line by line (UTF-8, with or without byte order mark) in bounded memory.
 * Findings name line and rule and never quote the data.
 */
export async function* readTrainingFile(source: AsyncIterable<Uint8Array>): AsyncGenerator<Item> {
  let examples = 0
  for await (const { line, bytes, problem } of lines(source)) {
    const item = problem === undefined ? readLine(bytes, line) : error(problem.code, problem.message, line)
    if (item === undefined) continue
    if ('example' in item) examples += 1
    yield item
    if ('finding' in item && FATAL.has(item.finding.code)) return
  }
  if (examples < TRAINING_LIMITS.minExamples) {
    const message = `Training file has ${examples} example(s), but must have at least ${TRAINING_LIMITS.minExamples} examples`
    yield error('invalid_n_examples', message)
  }
}

/** Counts examples and lists what is wrong; reads to the end unless a finding makes the rest meaningless. */
export async function checkTrainingFile(
  source: AsyncIterable<Uint8Array>,
): Promise<{ examples: number; findings: Finding[] }> {
  let examples = 0
  let unlisted = 0
  const findings: Finding[] = []
  for await (const item of readTrainingFile(source)) {
    if ('example' in item) examples += 1
    else if (findings.length < TRAINING_LIMITS.findings || item.finding.line === undefined) findings.push(item.finding)
    else unlisted += 1
  }
  if (unlisted > 0) findings.push(error('more_findings', `${unlisted} more lines have errors`).finding)
  return { examples, findings }
}

/** After these the rest of the file says nothing more. */
const FATAL = new Set(['file_too_large', 'not_utf8', 'not_jsonl'])

interface Line {
  readonly line: number
  readonly bytes: Buffer
  readonly problem?: { readonly code: string; readonly message: string }
}

async function* lines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let [line, total, size] = [1, 0, 0]
  let parts: Uint8Array[] = []
  const take = (): Line => {
    const tooLong = size > TRAINING_LIMITS.line
    const taken = { line, bytes: tooLong ? Buffer.alloc(0) : Buffer.concat(parts) }
    parts = []
    size = 0
    line += 1
    const message = `is longer than ${TRAINING_LIMITS.line} bytes`
    return tooLong ? { ...taken, problem: { code: 'line_too_long', message } } : taken
  }
  const collect = (part: Uint8Array): void => {
    size += part.length
    if (size <= TRAINING_LIMITS.line) parts.push(part)
    else parts = []
  }
  for await (const chunk of source) {
    total += chunk.length
    if (total > TRAINING_LIMITS.file) {
      const message = `the file is larger than ${TRAINING_LIMITS.file} bytes`
      yield { line, bytes: Buffer.alloc(0), problem: { code: 'file_too_large', message } }
      return
    }
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      collect(chunk.subarray(from, end))
      yield take()
      from = end + 1
    }
    // A copy: the source may reuse its buffer.
    if (from < chunk.length) collect(Uint8Array.prototype.slice.call(chunk, from))
  }
  if (size > 0) yield take()
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
  if (mayNestTooDeeply(bytes) && nestingDepth(text) > TRAINING_LIMITS.depth) {
    return error('too_deeply_nested', `nests JSON deeper than ${TRAINING_LIMITS.depth} levels`, line)
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
  const checked = checkExample(value)
  if (typeof checked === 'string') return error(...(checked.split('|') as [string, string]), line)
  return { example: { line, messages: checked } }
}

/** Most lines have fewer brackets than the limit has levels; counting those is much faster than reading every letter. */
function mayNestTooDeeply(bytes: Buffer): boolean {
  let openers = 0
  for (const opener of [91, 123]) {
    for (let at = bytes.indexOf(opener); at >= 0; at = bytes.indexOf(opener, at + 1)) {
      openers += 1
      if (openers > TRAINING_LIMITS.depth) return true
    }
  }
  return false
}

/** Deepest nesting of brackets and braces outside strings, found without recursion. */
function nestingDepth(text: string): number {
  let [depth, deepest, quoted] = [0, 0, false]
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (quoted) {
      if (code === 92) index += 1
      else if (code === 34) quoted = false
    } else if (code === 34) quoted = true
    else if (code === 91 || code === 123) {
      depth += 1
      deepest = Math.max(deepest, depth)
    } else if (code === 93 || code === 125) depth -= 1
  }
  return deepest
}
