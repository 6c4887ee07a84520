import { Readable } from 'node:stream'
import type { Catalogue } from './catalogue.ts'
import { threadsFor } from './catalogue.ts'
import type {
  BaseModel,
  FileReport,
  Hyperparameters,
  ResolvedHyperparameters,
  Trainer,
  TrainingMethod,
  TrainingMetrics,
  TrainingResult,
  TrainingSink,
  TrainingSpec,
} from './engine.ts'
import type { EngineProcess } from './engine-process.ts'
import { startEngineProcess } from './engine-process.ts'
import { EngineFailure, EngineLost, TrainingDataUnfit, type UnfitReason } from './failures.ts'
import type { Frame } from './frames.ts'
import { sendWeights, type WeightsFrame } from './sealed-weights.ts'
import { PATIENCE, type Patience } from './life-watch.ts'
import { LORA, type LoraSettings } from './lora-settings.ts'
import { TRAINING_LIMITS } from './training-file.ts'
import { defaultMemoryLimit } from './memory-limit.ts'

export type TrainingCommand =
  | {
      readonly type: 'job'
      readonly base: string
      readonly path: string
      readonly method: TrainingMethod
      /** Of a new adapter. One that is gone on with keeps its own. */
      readonly lora: LoraSettings
      readonly hyperparameters: Hyperparameters
      readonly seed: number
      readonly threads: number
      readonly maxContext: number
      readonly minExamples: number
      readonly checkpointSeconds: number
      readonly memory: number
    }
  | WeightsFrame
  | { readonly type: 'bytes' }
  | { readonly type: 'end' }
  | { readonly type: 'next' }
  /** At any time: the process sends the state after the last complete step at once, and the training is over. */
  | { readonly type: 'keep' }

interface Plan {
  readonly hyperparameters: ResolvedHyperparameters
  readonly totalSteps: number
  readonly examples: number
  readonly files: readonly FileReport[]
}

export type TrainingReply =
  | { readonly type: 'started'; readonly plan: Plan }
  | { readonly type: 'metrics'; readonly metrics: TrainingMetrics }
  | {
      readonly type: 'checkpoint'
      readonly metrics: TrainingMetrics
      readonly interim: boolean
      readonly adapterBytes: number
    }
  /** The reply to `keep` before a step was done. */
  | { readonly type: 'nothing' }
  | { readonly type: 'result'; readonly trainedTokens: number; readonly steps: number }
  /** `unfit`: the data is the cause. */
  | { readonly type: 'failed'; readonly message: string; readonly unfit?: UnfitReason }

export interface TrainerOptions {
  readonly threads: number
  /** Tokens. Longer examples are cut here, or earlier at the base's own context. */
  readonly maxContext: number
  /** Training examples with something to learn, below which a job fails. */
  readonly minExamples: number
  /** A checkpoint is kept at least this often, also within an epoch, so that no more work is lost when the process ends. */
  readonly checkpointSeconds: number
  /** Bytes that one process may use. A training that needs more is refused before its first step. */
  readonly memory: number
  readonly patience: Patience
}

const DEFAULTS: TrainerOptions = {
  threads: 2,
  maxContext: 2048,
  minExamples: TRAINING_LIMITS.minExamples,
  checkpointSeconds: 30,
  memory: defaultMemoryLimit(),
  patience: PATIENCE,
}

/** Trains LoRA adapters with ggml. Each job has a process of its own, so a failed assertion of ggml ends only that job. */
export function ggmlTrainer(catalogue: Catalogue, options: Partial<TrainerOptions> = {}): Trainer {
  const settings = { ...DEFAULTS, ...options }
  return {
    get bases() {
      return catalogue.models.filter(model => model.fineTune).map(model => model.name)
    },
    async train(spec, sink, signal) {
      signal.throwIfAborted()
      const model = catalogue.find(spec.base, spec.baseSha256)
      if (!model.fineTune) throw new EngineFailure(`${model.name} cannot be fine-tuned by this trainer`)
      const child = startEngineProcess(new URL('./trainer.child.ts', import.meta.url), 'training process', {
        patience: settings.patience,
        reads: [model.path],
        memory: settings.memory,
      })
      const aborted = Promise.withResolvers<never>()
      aborted.promise.catch(() => undefined)
      const abort = (): void => {
        child.kill()
        aborted.reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      try {
        const { hyperparameters, seed, method = 'supervised' } = spec
        const threads = threadsFor(model, settings.threads)
        const job = {
          type: 'job',
          base: model.name,
          path: model.path,
          method,
          lora: model.lora ?? LORA,
          hyperparameters,
          seed,
          ...settings,
          threads,
        }
        // A job that fails early says so while we still send, so both directions run at once.
        const sending = sendJob(child, job, spec, model.openWeights)
        sending.catch(() => undefined)
        // The sink may wait for a vault that does not answer, but an abort does not wait.
        return await Promise.race([follow(child, sink, sending, spec.pause), aborted.promise])
      } catch (error) {
        signal.throwIfAborted()
        throw error
      } finally {
        signal.removeEventListener('abort', abort)
        child.kill()
        await child.ended
      }
    },
  }
}

async function sendJob(
  child: EngineProcess,
  job: object,
  spec: TrainingSpec,
  openWeights: BaseModel['openWeights'],
): Promise<void> {
  if (openWeights !== undefined) await sendWeights(child, openWeights)
  await child.send(job)
  for (const stream of [spec.train, spec.valid, spec.startFrom, spec.resumeFrom]) {
    for await (const chunk of stream ?? []) await child.send({ type: 'bytes' }, chunk as Buffer)
    await child.send({ type: 'end' })
  }
}

/** Passes the process's messages to the sink, one at a time, until the result comes. */
async function follow(
  child: EngineProcess,
  sink: TrainingSink,
  sending: Promise<void>,
  pause: AbortSignal | undefined,
): Promise<TrainingResult> {
  const pausing = pauseOf(child, pause)
  try {
    for (;;) {
      const { header, body } = await Promise.race([nextFrame(child, sending), pausing.atOnce])
      const reply = header as TrainingReply
      if (reply.type === 'result')
        return { adapter: Readable.from([body]), trainedTokens: reply.trainedTokens, steps: reply.steps }
      await hand(reply, body, sink)
      if (reply.type === 'started') pausing.begin()
      if (reply.type === 'checkpoint' || reply.type === 'nothing') pausing.throwIfKept()
      if (!pausing.isKeeping) await child.send({ type: 'next' })
    }
  } finally {
    pausing.end()
  }
}

async function hand(reply: TrainingReply, body: Buffer, sink: TrainingSink): Promise<void> {
  switch (reply.type) {
    case 'started':
      return sink.started(reply.plan)
    case 'metrics':
      return sink.metrics(reply.metrics)
    case 'checkpoint':
      return sink.checkpoint({
        step: reply.metrics.step,
        epoch: reply.metrics.epoch,
        interim: reply.interim,
        adapter: Readable.from([body.subarray(0, reply.adapterBytes)]),
        state: Readable.from([body.subarray(reply.adapterBytes)]),
        metrics: reply.metrics,
      })
    case 'failed':
      throw reply.unfit
        ? new TrainingDataUnfit(reply.unfit, reply.message)
        : new EngineFailure(`training failed: ${reply.message}`)
    case 'nothing':
    case 'result':
  }
}

/** A pause asks for a checkpoint in the middle of a step. Before the training has begun there is no checkpoint to wait for. */
function pauseOf(child: EngineProcess, signal: AbortSignal | undefined) {
  const atOnce = Promise.withResolvers<never>()
  atOnce.promise.catch(() => undefined)
  let [hasBegun, isKeeping] = [false, false]
  const pause = (): void => {
    if (!hasBegun) return atOnce.reject(signal?.reason as Error)
    isKeeping = true
    child.send({ type: 'keep' }).catch(() => undefined)
  }
  if (signal?.aborted) pause()
  signal?.addEventListener('abort', pause, { once: true })
  return {
    /** Rejects with the pause's reason. */
    atOnce: atOnce.promise,
    get isKeeping() {
      return isKeeping
    },
    begin: (): void => {
      signal?.throwIfAborted()
      hasBegun = true
    },
    throwIfKept: (): void => {
      if (isKeeping) signal?.throwIfAborted()
    },
    end: (): void => signal?.removeEventListener('abort', pause),
  }
}

async function nextFrame(child: EngineProcess, sending: Promise<void>): Promise<Frame> {
  // Where the training stream or a sealed base fails while it is read (a revoked key), that is the cause, and not what the process reports.
  const failed = new Promise<never>((_, reject) => {
    sending.catch((error: unknown) => {
      if (!(error instanceof EngineLost)) reject(error)
    })
  })
  return Promise.race([child.next(), failed])
}
