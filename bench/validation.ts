import { monitorEventLoopDelay } from 'node:perf_hooks'
import { checkTrainingFile } from '../src/engines/training-file.ts'
import type { Figure } from './figure.ts'

const MIB = 2 ** 20
const SIZE = 64 * MIB
const CHUNK = 65_536
const ROUNDS = 5

type Check = (source: AsyncIterable<Uint8Array>) => Promise<unknown>

/** How fast training files are validated, and how long the event loop is held meanwhile. */
export async function figures(): Promise<Figure[]> {
  const examples = filled(`${example('What is the code of item 1?', 'The code of this item is 1.')}\n`)
  const files: [name: string, bytes: Buffer][] = [
    ['of short examples', examples],
    ['of long examples', filled(`${example('a'.repeat(100_000), 'b')}\n`)],
    ['of line feeds', filled('\n')],
  ]
  const measured: Figure[] = []
  for (const [name, bytes] of files) {
    const validated = await measure(bytes, checkTrainingFile)
    const bare = await measure(bytes, parseAll)
    measured.push(
      {
        name: `validation ${name}`,
        value: SIZE / MIB / validated.seconds,
        unit: 'MiB/s',
        ratio: bare.seconds / validated.seconds,
        against: 'splitting and JSON.parse alone',
      },
      { name: `longest hold of the event loop ${name}`, value: validated.held, unit: 'ms' },
    )
  }
  return measured
}

function example(question: string, answer: string): string {
  return JSON.stringify({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ],
  })
}

function filled(text: string): Buffer {
  const bytes = Buffer.alloc(SIZE, text)
  return bytes.subarray(0, bytes.lastIndexOf(10) + 1)
}

/** Chunks that come as from a network: each in a turn of the event loop of its own. */
async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) {
    await new Promise(resolve => setImmediate(resolve))
    yield bytes.subarray(at, at + CHUNK)
  }
}

async function parseAll(source: AsyncIterable<Uint8Array>): Promise<void> {
  let rest = ''
  for await (const chunk of source) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') JSON.parse(line)
  }
}

async function measure(bytes: Buffer, check: Check): Promise<{ seconds: number; held: number }> {
  const times: number[] = []
  const held: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const began = performance.now()
    await check(chunks(bytes))
    const seconds = (performance.now() - began) / 1000
    delay.disable()
    // The first round only warms up.
    if (round > 0) times.push(seconds)
    if (round > 0) held.push(delay.max / 1e6)
  }
  const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
  return { seconds: middle(times), held: middle(held) }
}
