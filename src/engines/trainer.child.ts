/** Trains one adapter: frames of `TrainingCommand` come in on stdin, `TrainingReply` go out on fd 3. */
import { createWriteStream } from 'node:fs'
import type { Tokenizer } from './chatml.ts'
import type { TrainingMetrics } from './engine.ts'
import { EngineFailure } from './failures.ts'
import { readFrames, writeFrame } from './frames.ts'
import { loadGgml } from './ggml.ts'
import { openGguf } from './gguf.ts'
import { loadVocabulary } from './llama-vocabulary.ts'
import { encodeAdapter, freshAdapter } from './lora.ts'
import { llamaShape, llamaTensors } from './placed-weights.ts'
import type { TrainingCommand, TrainingReply } from './trainer.ts'
import type { EncodedExample } from './training-batches.ts'
import { encodeExample, resolveHyperparameters } from './training-batches.ts'
import { readTrainingFile } from './training-file.ts'
import type { RunOptions } from './training-run.ts'
import { TrainingRun } from './training-run.ts'
import type { TrainingPosition } from './training-state.ts'
import { decodeState, encodeState } from './training-state.ts'

type Job = Extract<TrainingCommand, { type: 'job' }>

const output = createWriteStream('', { fd: 3 })
const frames = readFrames(process.stdin)
const reply = (message: TrainingReply, body?: Buffer): Promise<void> => writeFrame(output, message, body)

async function nextCommand(): Promise<{ command: TrainingCommand; body: Buffer }> {
  const { value, done } = await frames.next()
  if (done === true) throw new EngineFailure('the server has ended')
  return { command: value.header as unknown as TrainingCommand, body: value.body }
}

/** Bytes of one of the job's streams, up to its end mark. */
async function* incoming(): AsyncGenerator<Buffer> {
  for (;;) {
    const { command, body } = await nextCommand()
    if (command.type !== 'bytes') return
    yield body
  }
}

async function examples(tokenizer: Tokenizer, context: number, name: string): Promise<EncodedExample[]> {
  const encoded: EncodedExample[] = []
  for await (const item of readTrainingFile(incoming())) {
    // A validation file may be short; the number of training examples was checked before.
    if ('finding' in item && item.finding.code === 'invalid_n_examples') continue
    if ('finding' in item) throw new EngineFailure(`the ${name} data is not valid: ${item.finding.message}`)
    const example = encodeExample(tokenizer, item.example.messages, context)
    if (example !== undefined) encoded.push(example)
  }
  return encoded
}

async function prepare(job: Job): Promise<RunOptions & { position: TrainingPosition }> {
  const file = openGguf(job.path)
  const shape = llamaShape(file)
  const base = llamaTensors(file)
  file.close()
  const { tokenizer, dispose } = await loadVocabulary(job.path)
  const context = Math.min(shape.context, job.maxContext)
  const train = await examples(tokenizer, context, 'training')
  const valid = (await examples(tokenizer, context, 'validation')).slice(0, job.maxValidation)
  const state = Buffer.concat(await Array.fromAsync(incoming()))
  await dispose()
  if (train.length === 0) throw new EngineFailure('no example has an assistant message within the context of the base')
  const adapter = freshAdapter(base, job.seed)
  const fresh: TrainingPosition = {
    step: 0,
    totalSteps: 0,
    trainedTokens: 0,
    seed: job.seed,
    examples: train.length,
    base: job.base,
    hyperparameters: resolveHyperparameters(job.hyperparameters, {
      examples: train.length,
      tokens: train.reduce((sum, { ids }) => sum + ids.length, 0),
    }),
  }
  const position = state.length === 0 ? fresh : decodeState(state, adapter)
  if (position.examples !== train.length || position.base !== job.base || position.seed !== job.seed) {
    throw new EngineFailure('the training checkpoint belongs to other data, another seed or another base model')
  }
  const { hyperparameters, seed } = position
  return { shape, base, adapter, train, valid, hyperparameters, seed, position }
}

/** At most about ten epochs of a run keep a checkpoint, and the last three always. */
export const keepsCheckpoint = (epoch: number, epochs: number): boolean =>
  epoch > epochs - 3 || epoch % Math.ceil(epochs / 10) === 0

async function acknowledged(message: TrainingReply, body?: Buffer): Promise<TrainingCommand> {
  await reply(message, body)
  return (await nextCommand()).command
}

async function train(job: Job): Promise<void> {
  const { position, ...options } = await prepare(job)
  const run = new TrainingRun(loadGgml(job.threads), options)
  const { hyperparameters, adapter } = options
  const { totalSteps, stepsPerEpoch } = run
  await acknowledged({ type: 'started', plan: { hyperparameters, totalSteps, examples: options.train.length } })
  let trainedTokens = position.trainedTokens
  let keptAt = performance.now()
  for (let step = position.step + 1; step <= totalSteps; step += 1) {
    let metrics: TrainingMetrics = await run.step(step)
    const epochEnds = step % stepsPerEpoch === 0
    if (epochEnds) {
      trainedTokens += run.epochTokens
      metrics = { ...metrics, ...(await run.validate()) }
    }
    const { type } = await acknowledged({ type: 'metrics', metrics })
    const isDue = type === 'keep' || performance.now() - keptAt >= job.checkpointSeconds * 1000
    const isKept = epochEnds && keepsCheckpoint(metrics.epoch, hyperparameters.nEpochs)
    if (isKept || isDue) {
      const encoded = encodeAdapter(adapter)
      const state = encodeState({ ...position, step, totalSteps, trainedTokens }, adapter)
      const body = Buffer.concat([encoded, state])
      await acknowledged({ type: 'checkpoint', metrics, interim: !isKept, adapterBytes: encoded.length }, body)
      keptAt = performance.now()
    }
  }
  await acknowledged({ type: 'result', trainedTokens, steps: totalSteps }, encodeAdapter(adapter))
}

try {
  const { command } = await nextCommand()
  if (command.type !== 'job') throw new EngineFailure('the first frame must be a job')
  await train(command)
} catch (error) {
  const message = error instanceof Error ? error.message.slice(0, 500) : 'unknown'
  await reply({ type: 'failed', message }).catch(() => undefined)
}
output.end(() => process.exit(0))
