import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { architectures, gradients } from './architectures.ts'
import { losses } from './losses.ts'
import { realModel } from './real-model.ts'
import { speed } from './speed.ts'

/** Compares the trainer with torch, transformers and peft. See README.md beside this file. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: 'python3' },
    model: { type: 'string' },
    data: { type: 'string', default: join(import.meta.dirname, '../../examples/data/gsm8k-chat.jsonl') },
    steps: { type: 'string' },
    tokens: { type: 'string' },
    batch: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1,2' },
    head: { type: 'string', default: 'all' },
    quantised: { type: 'boolean', default: false },
  },
})
const folder = await mkdtemp(join(tmpdir(), 'ownkey-torch-'))
const head = values.head === 'learned' ? 'learned' : 'all'
const common = { python: values.python, folder, data: values.data, head, batchSize: Number(values.batch) } as const
const tokens = values.tokens === undefined ? undefined : Number(values.tokens)
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const model = () => {
  if (values.model === undefined) throw new Error('say which model: --model FILE.gguf')
  return realModel(values.model, folder, values.quantised)
}
try {
  for (const what of positionals.length === 0 ? ['architectures'] : positionals) {
    const threads = values.threads.split(',').map(Number)
    if (what === 'architectures') await architectures(common, print)
    else if (what === 'gradients') {
      const opened = { ...(await model()), name: values.quantised ? 'as it is' : 'as F32', b: 0.02 }
      await gradients(common, [() => Promise.resolve(opened)], print)
    } else if (what === 'losses')
      await losses(
        { ...common, ...(await model()), threads: threads.at(-1) ?? 1, steps: Number(values.steps ?? 50), tokens },
        print,
      )
    else if (what === 'speed')
      await speed(
        { ...common, ...(await model()), threads, steps: Number(values.steps ?? 10), tokens: tokens ?? 128 },
        print,
      )
    else throw new Error(`${what} is not one of architectures, gradients, losses, speed`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
