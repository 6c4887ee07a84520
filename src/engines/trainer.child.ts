/** Trains one adapter: frames of `TrainingCommand` come in on stdin, `TrainingReply` go out on fd 3. */
import { createWriteStream } from 'node:fs'
import type { ChatLayout } from './chat-layout.ts'
import { encodeFile } from './encode-file.ts'
import type { FileReport, TrainingMetrics } from './engine.ts'
import { EngineFailure, TrainingDataUnfit } from './failures.ts'
import { readFrames, writeFrame } from './frames.ts'
import { loadGgml, type Ggml } from './ggml.ts'
import { openGguf, type StoredTensor } from './gguf.ts'
import { loadVocabulary } from './llama-vocabulary.ts'
import { decodeAdapter, encodeAdapter, freshAdapter, type Adapter } from './lora.ts'
import { ModelPasses } from './model-passes.ts'
import { Likelihood } from './objective.ts'
import { llamaShape, llamaTensors } from './model-shape.ts'
import { DPO, encodePair, PreferenceObjective, resolvePreference, sequencesOf } from './preference.ts'
import { ReceivedWeights } from './sealed-weights.ts'
import { beginLife } from './sign-of-life.ts'
import type { TrainingCommand, TrainingReply } from './trainer.ts'
import { encodeConversation, resolveHyperparameters } from './training-batches.ts'
import type { TrainingExample } from './training-file.ts'
import { TrainingRun } from './training-run.ts'
import { decodeState, encodeState, type TrainingPosition, type TrainingState } from './training-state.ts'

beginLife()

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

interface Prepared {
  readonly run: TrainingRun
  readonly adapter: Adapter
  readonly architecture: string
  readonly position: TrainingPosition
  readonly files: readonly FileReport[]
}

function tooFew({ examples, leftOut, context }: FileReport, least: number): TrainingDataUnfit {
  const which = `${leftOut.first.join(', ')}${leftOut.count > leftOut.first.length ? ' and others' : ''}`
  return new TrainingDataUnfit(
    'invalid_n_examples',
    `Training file has ${examples} example(s) with something to learn within the ${context.toLocaleString('en')} tokens that this base reads, ` +
      `but must have at least ${least}. Shorten those of lines ${which}.`,
  )
}

/** What the files hold for the job's method, as the model reads it. */
async function readData(job: Job, layout: ChatLayout, context: number) {
  const read = async <T extends { readonly tokens: number }>(
    encode: (layout: ChatLayout, example: TrainingExample, context: number) => T | undefined,
  ) => {
    const one = (file: FileReport['file']) =>
      encodeFile(incoming(), example => encode(layout, example, context), { file, context })
    const [train, valid] = [await one('training'), await one('validation')]
    const { examples, leftOut } = valid.report
    return {
      train: train.encoded,
      valid: valid.encoded,
      files: [train.report, ...(examples + leftOut.count === 0 ? [] : [valid.report])],
    }
  }
  return job.method === 'dpo'
    ? ({ method: 'dpo', ...(await read(encodePair)) } as const)
    : ({ method: 'supervised', ...(await read(encodeConversation)) } as const)
}

async function prepare(job: Job, ggml: Ggml): Promise<Prepared> {
  const file = openGguf(job.path, ggml.dequantize)
  const shape = llamaShape(file)
  const base = llamaTensors(file)
  const { layout, dispose } = await loadVocabulary(job.path)
  const data = await readData(job, layout, Math.min(shape.context, job.maxContext))
  const source = Buffer.concat(await Array.fromAsync(incoming()))
  const state = Buffer.concat(await Array.fromAsync(incoming()))
  await dispose()
  const [report] = data.files
  if (report !== undefined && report.examples < job.minExamples) throw tooFew(report, job.minExamples)
  const { position, adapter, reference } =
    state.length > 0 ? decodeState(state, base) : fresh(job, { base, parameters: file.parameters, source, data })
  if (position.examples !== data.train.length || position.base !== job.base || position.seed !== job.seed) {
    throw new EngineFailure('the training checkpoint belongs to other data, another seed or another base model')
  }
  const { hyperparameters, seed } = position
  const { batchSize, beta = DPO.beta } = hyperparameters
  const most =
    data.method === 'dpo'
      ? { examples: sequencesOf(data.train), batchSize: 2 * batchSize }
      : { examples: data.train, batchSize }
  const passes = new ModelPasses(ggml, { shape, base, adapter, memory: job.memory, most })
  file.close()
  const objective =
    data.method === 'dpo'
      ? new PreferenceObjective(passes, data, { beta, reference })
      : new Likelihood(passes, data.train, data.valid)
  const run = new TrainingRun(passes, objective, { shape, hyperparameters, seed })
  return { run, adapter, architecture: shape.architecture, position, files: data.files }
}

/** The state before the first step. */
function fresh(
  job: Job,
  given: {
    readonly base: readonly StoredTensor[]
    readonly parameters: number
    readonly source: Buffer
    readonly data: { readonly train: readonly { readonly tokens: number }[] }
  },
): TrainingState {
  const { base, parameters, source, data } = given
  const examples = data.train.length
  const resolve = job.method === 'dpo' ? resolvePreference : resolveHyperparameters
  const hyperparameters = resolve(job.hyperparameters, {
    examples,
    tokens: data.train.reduce((sum, { tokens }) => sum + tokens, 0),
    parameters,
  })
  return {
    position: { step: 0, totalSteps: 0, trainedTokens: 0, seed: job.seed, examples, base: job.base, hyperparameters },
    adapter: source.length > 0 ? decodeAdapter(source, base) : freshAdapter(base, job.seed, job.lora),
    reference: new Float64Array(0),
  }
}

/** At most about ten epochs of a run keep a checkpoint, and the last three always. */
export const keepsCheckpoint = (epoch: number, epochs: number): boolean =>
  epoch > epochs - 3 || epoch % Math.ceil(epochs / 10) === 0

/** The server's messages during the training. `keep` may come at any time; all others answer a message of this process. */
class Commands {
  #waiting: ((command: TrainingCommand) => void) | undefined
  readonly #onKeep: () => void

  constructor(onKeep: () => void) {
    this.#onKeep = onKeep
    this.#listen().catch(() => process.exit(1))
  }

  /** Sends a message and waits for the server's command. */
  async answerTo(message: TrainingReply, body?: Buffer): Promise<TrainingCommand> {
    const { promise, resolve } = Promise.withResolvers<TrainingCommand>()
    this.#waiting = resolve
    await reply(message, body)
    return promise
  }

  async #listen(): Promise<never> {
    for (;;) {
      const { command } = await nextCommand()
      const waiting = this.#waiting
      this.#waiting = undefined
      if (waiting !== undefined) waiting(command)
      else if (command.type === 'keep') this.#onKeep()
    }
  }
}

/** The message with a state to resume from. */
interface Kept {
  readonly message: Extract<TrainingReply, { type: 'checkpoint' }>
  readonly body: Buffer
}

/** One training, from the position of its state to its end. */
class Training {
  readonly #job: Job
  readonly #position: TrainingPosition
  readonly #adapter: Adapter
  readonly #architecture: string
  readonly #run: TrainingRun
  readonly #files: readonly FileReport[]
  readonly #commands = new Commands(() => void this.#keepNow())
  #trainedTokens: number
  /** The message of the last complete step; absent: no step was done here. */
  #last: TrainingMetrics | undefined
  /** The state before the current step, which is not complete until its validation is done. */
  #before: Kept | undefined
  #keptAt = performance.now()
  #isOver = false

  constructor(job: Job, { position, files, adapter, architecture, run }: Prepared) {
    this.#job = job
    this.#position = position
    this.#adapter = adapter
    this.#architecture = architecture
    this.#run = run
    this.#files = files
    this.#trainedTokens = position.trainedTokens
  }

  async train(): Promise<void> {
    const { hyperparameters } = this.#position
    const { totalSteps, objective } = this.#run
    const plan = { hyperparameters, totalSteps, examples: objective.examples, files: this.#files }
    await this.#commands.answerTo({ type: 'started', plan })
    await objective.begin()
    for (let step = this.#position.step + 1; step <= totalSteps; step += 1) await this.#step(step)
    const result = { type: 'result', trainedTokens: this.#trainedTokens, steps: totalSteps } as const
    await this.#commands.answerTo(result, encodeAdapter(this.#adapter, this.#architecture))
  }

  async #step(step: number): Promise<void> {
    const { stepsPerEpoch, objective } = this.#run
    const epochEnds = step % stepsPerEpoch === 0
    if (epochEnds && objective.hasValidation) this.#before = this.#kept(true)
    let metrics: TrainingMetrics = await this.#run.step(step)
    if (epochEnds) metrics = { ...metrics, ...(await this.#run.validate()) }
    // A checkpoint was kept meanwhile, so the training is over and the server ends this process.
    if (this.#isOver) return new Promise(() => undefined)
    if (epochEnds) this.#trainedTokens += objective.tokens
    this.#last = metrics
    this.#before = undefined
    const { type } = await this.#commands.answerTo({ type: 'metrics', metrics })
    const isDue = type === 'keep' || performance.now() - this.#keptAt >= this.#job.checkpointSeconds * 1000
    const isShown = epochEnds && keepsCheckpoint(metrics.epoch, this.#position.hyperparameters.nEpochs)
    const kept = isShown || isDue ? this.#kept(!isShown) : undefined
    if (kept === undefined) return
    await this.#commands.answerTo(kept.message, kept.body)
    this.#keptAt = performance.now()
  }

  /** Keeps the state in the middle of a step, however long the step takes. The weights are those of the last complete step. */
  async #keepNow(): Promise<void> {
    this.#isOver = true
    const kept = this.#before ?? this.#kept(true)
    await (kept === undefined ? reply({ type: 'nothing' }) : reply(kept.message, kept.body))
  }

  /** Undefined before the first step that was done here. */
  #kept(interim: boolean): Kept | undefined {
    const metrics = this.#last
    if (metrics === undefined) return undefined
    const { totalSteps, objective } = this.#run
    const encoded = encodeAdapter(this.#adapter, this.#architecture)
    const position = { ...this.#position, step: metrics.step, totalSteps, trainedTokens: this.#trainedTokens }
    const state = encodeState({ position, adapter: this.#adapter, reference: objective.reference })
    const body = Buffer.concat([encoded, state])
    return { message: { type: 'checkpoint', metrics, interim, adapterBytes: encoded.length }, body }
  }
}

try {
  const weights = new ReceivedWeights()
  let { command, body } = await nextCommand()
  for (; command.type === 'weights'; { command, body } = await nextCommand()) weights.add(body)
  if (command.type !== 'job') throw new EngineFailure('the first frame must be a job')
  const job = { ...command, path: weights.pathOr(command.path) }
  const ggml = loadGgml(job.threads)
  const prepared = await prepare(job, ggml)
  // The weights are where ggml computes now, and would be in memory twice for the whole training.
  weights.close()
  await new Training(job, prepared).train()
} catch (error) {
  const message = error instanceof Error ? error.message.slice(0, 500) : 'unknown'
  // V8 ran out of memory, so the process ends as if the kernel had ended it for that.
  if (error instanceof RangeError && /allocation failed/i.test(message)) {
    process.stderr.write(`${message}\n`, () => process.exit(1))
    await new Promise(() => undefined)
  }
  const unfit = error instanceof TrainingDataUnfit ? { unfit: error.reason } : {}
  await reply({ type: 'failed', message, ...unfit }).catch(() => undefined)
}
output.end(() => process.exit(0))
