import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { Catalogue, EMBEDDED_BASE } from './catalogue.ts'
import type { TrainingMetrics, TrainingSink, TrainingSpec } from './engine.ts'
import { EngineFailure, TrainingDataUnfit } from './failures.ts'
import { encodeGguf, openGguf } from './gguf.ts'
import { encodeAdapter, freshAdapter } from './lora.ts'
import type { LoraSettings } from './lora-settings.ts'
import { memoryFile } from './memory-file.ts'
import { ggmlTrainer } from './trainer.ts'

const trainer = ggmlTrainer(new Catalogue(), { threads: 1 })
const never = new AbortController().signal

const jsonl = (count: number, from = 0): Readable => {
  const line = (n: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `Say ${n}` },
        { role: 'assistant', content: `Number ${n}, if you must.` },
      ],
    })
  return Readable.from([Buffer.from(Array.from({ length: count }, (_, index) => line(from + index)).join('\n'))])
}

const spec = (more: Partial<TrainingSpec> = {}): TrainingSpec => ({
  jobId: 'job',
  base: 'gpt-4o-mini',
  train: jsonl(10),
  hyperparameters: { nEpochs: 4, batchSize: 5, learningRateMultiplier: 1 },
  seed: 3,
  ...more,
})

interface Recording extends TrainingSink {
  readonly seen: TrainingMetrics[]
  readonly states: Map<number, Buffer>
  readonly adapters: Map<number, Buffer>
}

function recording(): Recording {
  const [seen, states, adapters] = [[] as TrainingMetrics[], new Map<number, Buffer>(), new Map<number, Buffer>()]
  return {
    seen,
    states,
    adapters,
    started: async () => undefined,
    metrics: async metrics => void seen.push(metrics),
    checkpoint: async checkpoint => {
      states.set(checkpoint.step, Buffer.concat(await Array.fromAsync(checkpoint.state)))
      adapters.set(checkpoint.step, Buffer.concat(await Array.fromAsync(checkpoint.adapter)))
    },
  }
}

test('training from the same seed gives the same bytes, also when resumed', async () => {
  const whole = recording()
  const result = await trainer.train(spec({ valid: jsonl(3, 50) }), whole, never)
  const adapter = Buffer.concat(await Array.fromAsync(result.adapter))
  assert.deepEqual(
    whole.seen.map(({ step, epoch, totalSteps }) => [step, epoch, totalSteps]),
    [1, 2, 3, 4, 5, 6, 7, 8].map(step => [step, Math.ceil(step / 2), 8]),
  )
  const [first, last] = [whole.seen[0] as TrainingMetrics, whole.seen.at(-1) as TrainingMetrics]
  assert.ok(last.trainLoss < first.trainLoss)
  assert.ok(whole.seen.every(({ step, validLoss }) => (step % 2 === 0) === (validLoss !== undefined)))
  assert.deepEqual([...whole.states.keys()], [2, 4, 6, 8])
  assert.deepEqual(whole.adapters.get(8), adapter)

  const resumed = recording()
  const state = whole.states.get(4) as Buffer
  const resume = spec({ valid: jsonl(3, 50), resumeFrom: Readable.from([state]) })
  const again = await trainer.train(resume, resumed, never)
  assert.deepEqual(Buffer.concat(await Array.fromAsync(again.adapter)), adapter)
  assert.deepEqual(resumed.seen, whole.seen.slice(4))
  assert.equal(again.trainedTokens, result.trainedTokens)

  const other = await trainer.train(spec({ seed: 4 }), recording(), never)
  assert.notDeepEqual(Buffer.concat(await Array.fromAsync(other.adapter)), adapter)
})

test('training that starts from an adapter goes on where it ended, and resumes without it byte for byte', async () => {
  const bytes = async (adapter: Readable): Promise<Buffer> => Buffer.concat(await Array.fromAsync(adapter))
  const first = recording()
  const adapter = await bytes((await trainer.train(spec({ valid: jsonl(3, 50) }), first, never)).adapter)
  const valid = (): Readable => jsonl(3, 50)
  const whole = recording()
  const from = { startFrom: Readable.from([adapter]), valid: valid(), seed: 9 }
  const ended = await bytes((await trainer.train(spec(from), whole, never)).adapter)
  // Each epoch has another order, so what must agree is the loss of one batch with everything in it.
  const one = { nEpochs: 1, batchSize: 10, learningRateMultiplier: 1e-9 }
  const looking = recording()
  const look = { startFrom: Readable.from([adapter]), valid: valid(), hyperparameters: one }
  await trainer.train(spec(look), looking, never)
  const [seen, last] = [looking.seen[0]?.validLoss ?? 0, first.seen.at(-1)?.validLoss ?? 1]
  assert.ok(Math.abs(seen - last) < 1e-6, `${seen} against ${last}`)
  const resumeFrom = Readable.from([whole.states.get(4) as Buffer])
  const rest = await trainer.train(spec({ resumeFrom, valid: valid(), seed: 9 }), recording(), never)
  assert.deepEqual(await bytes(rest.adapter), ended)
})

test('dpo from the same seed gives the same bytes, also when resumed, and from the adapter that it started from', async () => {
  const pairs = (count: number, from: number): Readable => {
    const line = (n: number): string =>
      JSON.stringify({
        input: { messages: [{ role: 'user', content: `Say ${n}` }] },
        preferred_output: [{ role: 'assistant', content: `${n}, of course.` }],
        non_preferred_output: [{ role: 'assistant', content: `Number ${n}, if you must.` }],
      })
    return Readable.from([Buffer.from(Array.from({ length: count }, (_, at) => line(from + at)).join('\n'))])
  }
  const bytes = async (adapter: Readable): Promise<Buffer> => Buffer.concat(await Array.fromAsync(adapter))
  const started = await bytes((await trainer.train(spec(), recording(), never)).adapter)
  const dpo = (more: Partial<TrainingSpec>) =>
    spec({ method: 'dpo', train: pairs(10, 0), valid: pairs(3, 50), ...more, hyperparameters: ofDpo })
  const ofDpo = { nEpochs: 4, batchSize: 5, learningRateMultiplier: 0.5, beta: 0.2, l2Multiplier: 0 }
  const whole = recording()
  const ended = await bytes((await trainer.train(dpo({ startFrom: Readable.from([started]) }), whole, never)).adapter)
  const [first, last] = [whole.seen[0], whole.seen.at(-1)]
  assert.ok(Math.abs((first?.trainLoss ?? 0) - Math.log(2)) < 1e-5, 'the reference is the adapter that it starts from')
  assert.ok((last?.validLoss ?? 1) < Math.log(2))
  assert.ok((last?.validRewards?.preferred ?? 0) > (last?.validRewards?.nonPreferred ?? 0))
  // The checkpoint has the reference, so the adapter is not needed again.
  const resumed = recording()
  const resumeFrom = Readable.from([whole.states.get(4) as Buffer])
  assert.deepEqual(await bytes((await trainer.train(dpo({ resumeFrom }), resumed, never)).adapter), ended)
  assert.deepEqual(resumed.seen, whole.seen.slice(4))
  await assert.rejects(trainer.train(dpo({ train: jsonl(10) }), recording(), never), /data has conversations, and dpo/)
  await assert.rejects(trainer.train(spec({ train: pairs(10, 0) }), recording(), never), /preferences, which only dpo/)
})

test('new adapters have the shape that the operator chose, and one that is gone on with keeps its own', async () => {
  const shaped = ggmlTrainer(shapedCatalogue({ rank: 4, alpha: 12, targets: ['attn_q', 'ffn_down'] }), { threads: 1 })
  const bytes = async (adapter: Readable): Promise<Buffer> => Buffer.concat(await Array.fromAsync(adapter))
  const on = { base: 'shaped' }
  const whole = recording()
  const made = await bytes((await shaped.train(spec(on), whole, never)).adapter)
  assert.deepEqual(shapeOf(made), { alpha: 12, rank: 4, matrices: ['attn_q', 'ffn_down'] })
  const other = ggmlTrainer(shapedCatalogue({ rank: 2, alpha: 2, targets: ['attn_v'] }), { threads: 1 })
  const resumeFrom = Readable.from([whole.states.get(4) as Buffer])
  assert.deepEqual(await bytes((await other.train(spec({ ...on, resumeFrom }), recording(), never)).adapter), made)
  const startFrom = Readable.from([made])
  const further = await other.train(spec({ ...on, startFrom }), recording(), never)
  assert.deepEqual(shapeOf(await bytes(further.adapter)), shapeOf(made))
  const anew = await other.train(spec(on), recording(), never)
  assert.deepEqual(shapeOf(await bytes(anew.adapter)), { alpha: 2, rank: 2, matrices: ['attn_v'] })
})

function shapedCatalogue(lora: LoraSettings): Catalogue {
  return new Catalogue({ models: [{ ...EMBEDDED_BASE, name: 'shaped', lora }] })
}

function shapeOf(adapter: Buffer) {
  const held = memoryFile(adapter)
  const file = openGguf(held.path)
  const matrices = [...new Set(file.names.map(name => name.split('.')[2]))]
  const [rank] = file.tensor(`blk.0.${matrices[0]}.weight.lora_b`).shape
  const shape = { alpha: file.metadata.get('adapter.lora.alpha'), rank, matrices }
  file.close()
  held.close()
  return shape
}

test('an adapter of another base, and what is not an adapter, are refused with why', async () => {
  const alien = encodeAdapter(freshAdapter([{ name: 'blk.0.attn_q.weight', shape: [64, 64] }], 1))
  const start = (bytes: Buffer): Promise<unknown> =>
    trainer.train(spec({ startFrom: Readable.from([bytes]) }), recording(), never)
  await assert.rejects(
    start(alien),
    /model to start from does not fit the base model at blk\.0\.attn_q\.weight\.lora_a/,
  )
  await assert.rejects(start(encodeGguf([], [])), /is not a LoRA adapter/)
  await assert.rejects(start(Buffer.from('nonsense')), /not a GGUF/)
})

test('a sink that throws stops the training with its error', async () => {
  const error = new Error('key revoked')
  const sink = { ...recording(), metrics: () => Promise.reject(error) }
  await assert.rejects(trainer.train(spec(), sink, never), error)
})

test('an abort ends the training with the reason', async () => {
  const abort = new AbortController()
  const reason = new Error('cancelled')
  const sink = { ...recording(), metrics: async () => abort.abort(reason) }
  await assert.rejects(trainer.train(spec(), sink, abort.signal), reason)
})

test('a training that is paused within an epoch keeps a checkpoint, and resumes from it byte for byte', async () => {
  const hyperparameters = { nEpochs: 2, batchSize: 2, learningRateMultiplier: 1 }
  const whole = await trainer.train(spec({ hyperparameters }), recording(), never)
  const pause = new AbortController()
  const reason = new Error('paused')
  const paused = recording()
  const sink = { ...paused, metrics: async ({ step }: TrainingMetrics) => void (step === 3 && pause.abort(reason)) }
  await assert.rejects(trainer.train(spec({ hyperparameters, pause: pause.signal }), sink, never), reason)
  assert.deepEqual([...paused.states.keys()], [3])
  const resumed = recording()
  const resumeFrom = Readable.from([paused.states.get(3) as Buffer])
  const rest = await trainer.train(spec({ hyperparameters, resumeFrom }), resumed, never)
  assert.equal(resumed.seen[0]?.step, 4)
  const bytes = async (adapter: Readable): Promise<Buffer> => Buffer.concat(await Array.fromAsync(adapter))
  assert.deepEqual(await bytes(rest.adapter), await bytes(whole.adapter))
})

test('a checkpoint is kept at a fixed interval, though no epoch ends', async () => {
  const often = ggmlTrainer(new Catalogue(), { threads: 1, checkpointSeconds: 0 })
  const kept: [number, boolean][] = []
  const sink = {
    ...recording(),
    checkpoint: async ({ step, interim }: { step: number; interim: boolean }) => void kept.push([step, interim]),
  }
  const hyperparameters = { nEpochs: 1, batchSize: 4, learningRateMultiplier: 1 }
  await often.train(spec({ hyperparameters }), sink, never)
  assert.deepEqual(kept, [
    [1, true],
    [2, true],
    [3, false],
  ])
})

test('where the training stream fails, its error is the error', async () => {
  const error = new Error('lease over')
  async function* failing(): AsyncGenerator<Buffer> {
    yield Buffer.from('{')
    throw error
  }
  await assert.rejects(trainer.train(spec({ train: Readable.from(failing()) }), recording(), never), error)
})

test('data that is not valid and a checkpoint of something else are refused', async () => {
  const broken = spec({ train: Readable.from([Buffer.from('marker-7f3a')]) })
  await assert.rejects(trainer.train(broken, recording(), never), (error: unknown) => {
    assert.ok(error instanceof EngineFailure)
    assert.doesNotMatch(error.message, /marker/)
    return true
  })
  const wrong = spec({ resumeFrom: Readable.from([Buffer.alloc(100)]) })
  await assert.rejects(trainer.train(wrong, recording(), never), /checkpoint is not one of this trainer/)
})

test('a training that needs more memory than there is is refused before its first step, with what to do', async () => {
  const small = ggmlTrainer(new Catalogue(), { threads: 1, memory: 200 * 1024 ** 2 })
  const long = Array.from({ length: 10 }, (_, n) => ({
    messages: [
      { role: 'user', content: `Count to ${n}. ${'one two three '.repeat(100)}` },
      { role: 'assistant', content: 'one two three four five six '.repeat(60) },
    ],
  }))
  const train = Readable.from([Buffer.from(long.map(line => JSON.stringify(line)).join('\n'))])
  const seen = recording()
  await assert.rejects(small.train(spec({ train }), seen, never), (error: unknown) => {
    assert.ok(error instanceof TrainingDataUnfit)
    assert.equal(error.reason, 'outOfMemory')
    assert.match(
      error.message,
      /needs 0\.\d GB of memory, and there is 0\.2 GB.*up to [\d,]+ tokens: shorten the longest/,
    )
    return true
  })
  assert.deepEqual(seen.seen, [])
  await small.train(spec(), seen, never)
})
