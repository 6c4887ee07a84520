import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { checkTrainingFile, readTrainingFile, TRAINING_LIMITS } from './training-file.ts'

const DATA = join(import.meta.dirname, '..', '..', 'test', 'data')
const GOOD = JSON.stringify({
  messages: [
    { role: 'user', content: 'hello' },
    { role: 'assistant', content: 'marker-7f3a' },
  ],
})
const check = (text: string | Buffer) => checkTrainingFile(Readable.from([Buffer.from(text)]))
const tenOf = (line: string): string => [line, ...Array.from({ length: 9 }, () => GOOD)].join('\n')
const codes = async (text: string | Buffer): Promise<string[]> => (await check(text)).findings.map(item => item.code)

/** Lines with calls of these arguments. */
function argumentsOf(text: string, calls = 1): Buffer {
  const call = { function: { name: 'f', arguments: text } }
  const messages = [{ role: 'assistant', tool_calls: Array.from({ length: calls }, () => call) }]
  return Buffer.from(`${JSON.stringify({ messages })}\n`.repeat(16))
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

describe('a training file', () => {
  const bad: [string, string, number | undefined][] = [
    ['binary.jsonl', 'not_utf8', 1],
    ['content-number-line-2.jsonl', 'invalid_content', 2],
    ['empty.jsonl', 'invalid_n_examples', undefined],
    ['invalid-utf8-line-6.jsonl', 'invalid_utf8', 6],
    ['json-array.json', 'not_jsonl', 1],
    ['nine-examples.jsonl', 'invalid_n_examples', undefined],
    ['no-assistant-line-5.jsonl', 'no_assistant_message', 5],
    ['no-messages-line-3.jsonl', 'missing_messages', 3],
    ['not-json-line-7.jsonl', 'invalid_json', 7],
    ['unknown-role-line-4.jsonl', 'unknown_role', 4],
    ['utf16.jsonl', 'not_utf8', 1],
  ]
  for (const [file, code, line] of bad) {
    test(`${file} is refused with ${code}`, async () => {
      const { findings } = await checkTrainingFile(createReadStream(join(DATA, 'bad', file)))
      const first = findings[0]
      assert.equal(first?.level, 'error')
      assert.equal(first.code, code)
      assert.equal(first.line, line)
      assert.doesNotMatch(JSON.stringify(findings), /Paris|Moon|capital/)
    })
  }

  test('marv.jsonl passes with 12 examples', async () => {
    const result = await checkTrainingFile(createReadStream(join(DATA, 'marv.jsonl')))
    assert.deepEqual(result, { examples: 12, findings: [] })
  })

  test('200,000 nested brackets are refused without recursion', async () => {
    assert.equal((await codes('['.repeat(200_000)))[0], 'too_deeply_nested')
  })

  test('a schema of ten levels with alternatives in each is not too deep', async () => {
    const schemaOf = (levels: number): object =>
      levels === 0 ? {} : { type: 'object', properties: { a: { anyOf: [schemaOf(levels - 1)] } } }
    const tools = [{ type: 'function', function: { name: 'f', parameters: schemaOf(10) } }]
    assert.deepEqual(await codes(tenOf(JSON.stringify({ ...JSON.parse(GOOD), tools }))), [])
  })

  test('a line over the limit is refused, and is not kept in memory', async () => {
    const chunk = Buffer.alloc(TRAINING_LIMITS.line / 4, 'a')
    const { findings } = await checkTrainingFile(Readable.from(Array.from({ length: 64 }, () => chunk)))
    assert.deepEqual(findings[0]?.code, 'line_too_long')
  })

  test('a file over the limit is refused as soon as the limit is passed', async () => {
    const long = Buffer.alloc(TRAINING_LIMITS.file / 8, ' ')
    const { findings } = await checkTrainingFile(Readable.from(Array.from({ length: 9 }, () => long)))
    assert.ok(findings.some(finding => finding.code === 'file_too_large'))
  })

  test('nine examples have the code and words of the public service', async () => {
    const { findings } = await check(Array.from({ length: 9 }, () => GOOD).join('\n'))
    assert.deepEqual(findings, [
      {
        level: 'error',
        code: 'invalid_n_examples',
        message: 'Training file has 9 example(s), but must have at least 10 examples',
      },
    ])
  })

  test('a byte order mark, Windows line ends, blank lines and a missing last line end are accepted', async () => {
    const text = `\uFEFF${Array.from({ length: 10 }, () => GOOD).join('\r\n\r\n')}`
    assert.deepEqual(await check(text), { examples: 10, findings: [] })
  })

  test('lines may be cut anywhere into chunks', async () => {
    const bytes = Buffer.from(tenOf(GOOD.replace('hello', 'grüße 🙂')))
    const chunks = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) => bytes.subarray(at * 7, at * 7 + 7))
    assert.deepEqual(await checkTrainingFile(Readable.from(chunks)), { examples: 10, findings: [] })
  })

  test('weight is 0 or 1, on assistant messages, and not 0 on all of them', async () => {
    const example = (role: string, weight: unknown): string =>
      JSON.stringify({
        messages: [
          { role, content: 'x', weight },
          { role: 'assistant', content: 'y', weight: 0 },
        ],
      })
    assert.equal((await codes(tenOf(example('assistant', 2))))[0], 'invalid_weight')
    assert.equal((await codes(tenOf(example('user', 1))))[0], 'invalid_weight')
    assert.equal((await codes(tenOf(example('assistant', 0))))[0], 'no_weighted_message')
    assert.deepEqual(await codes(tenOf(example('assistant', 1))), [])
  })

  test('after 50 findings it stops reading, and says how far it read', async () => {
    let chunks = 0
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        chunks += 1
        yield Buffer.from('no json\n'.repeat(8))
      }
    }
    const { findings } = await checkTrainingFile(endless())
    assert.equal(findings.length, 51)
    assert.match(findings.at(-1)?.message ?? '', /up to line 50:/)
    assert.equal(chunks, 7)
  })

  test('a line with more JSON values than any example has is refused before it is parsed', async () => {
    const keys = Array.from({ length: 30_000 }, (_, n) => `"k${n}":1`).join(',')
    assert.equal((await codes(`{${keys}}`))[0], 'too_many_values')
    const commas = JSON.stringify({
      messages: [
        { role: 'user', content: ',:'.repeat(30_000) },
        { role: 'assistant', content: 'x' },
      ],
    })
    assert.deepEqual(await codes(tenOf(commas)), [])
  })

  const HOSTILE: readonly [what: string, bytes: Buffer][] = [
    ['line feeds', Buffer.alloc(16 << 20, 10)],
    ['lines of blanks', Buffer.from(' \n'.repeat(8 << 20))],
    ['wide blanks', Buffer.from('\u3000\n'.repeat(1 << 20))],
    ['examples of few letters', Buffer.from(`${GOOD}\n`.repeat(100_000))],
    ['brackets in long lines', Buffer.from(`${'['.repeat(1_000_000)}\n`.repeat(16))],
    ['texts of many escapes', Buffer.from(`{"a":"${'\\u0041'.repeat(170_000)}"}\n`.repeat(16))],
    ['arguments of many values', argumentsOf(`{"a":[${'1,'.repeat(500_000)}1]}`)],
    ['arguments of many brackets', argumentsOf('['.repeat(1_000_000))],
    ['calls of many values', argumentsOf(`{"a":[${'1,'.repeat(4000)}1]}`, 100)],
    ['many keys', Buffer.from(`{${Array.from({ length: 9_999 }, (_, n) => `"key-${n}":1`).join()}}\n`.repeat(40))],
  ]
  for (const [what, bytes] of HOSTILE)
    test(`others have their turn while ${what} are read`, async () => {
      const waits: number[] = []
      // This thread's own CPU time, so that other programs on a busy machine don't count.
      const spent = (): number => (process.threadCpuUsage().user + process.threadCpuUsage().system) / 1000
      let before = spent()
      const ticking = setInterval(() => {
        waits.push(spent() - before)
        before = spent()
      }, 1)
      await checkTrainingFile(Readable.from(pieces(bytes)))
      clearInterval(ticking)
      waits.sort((a, b) => a - b)
      // One turn is 4 ms, or one line of the greatest length.
      assert.ok((waits[Math.floor(waits.length * 0.9)] ?? 0) < 50, waits.slice(-5).join(' '))
    })

  test('examples come with their messages', async () => {
    const items = await Array.fromAsync(readTrainingFile(Readable.from([Buffer.from(tenOf(GOOD))])))
    assert.ok(items.every(item => 'example' in item && item.example.messages.length === 2))
  })
})
