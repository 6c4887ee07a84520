import type { Readable } from 'node:stream'
import type { Catalogue } from './catalogue.ts'
import { threadsFor } from './catalogue.ts'
import type { BaseModel, ChatDelta, ChatRequest, InferenceRuntime, LoadedModel } from './engine.ts'
import type { GpuLayers, GpuVariant } from './engine-settings.ts'
import type { EngineProcess } from './engine-process.ts'
import { startEngineProcess } from './engine-process.ts'
import { ContextTooLong, ConversationRefused, EngineBusy, EngineFailure } from './failures.ts'
import { PATIENCE, type Patience } from './life-watch.ts'
import { sendWeights, type WeightsFrame } from './sealed-weights.ts'

export type InferenceCommand =
  | {
      readonly type: 'load'
      readonly path: string
      readonly contextLength: number
      readonly threads: number
      readonly gpu: GpuVariant
      readonly gpuLayers: GpuLayers
    }
  | WeightsFrame
  /** Says what a variant of llama.cpp runs on. */
  | { readonly type: 'probe'; readonly gpu: GpuVariant }
  | { readonly type: 'chat'; readonly request: ChatRequest }
  | { readonly type: 'abort' }

export type InferenceReply =
  | { readonly type: 'ready' }
  | { readonly type: 'gpu'; readonly devices: readonly string[] }
  | ChatDelta
  | { readonly type: 'too-long'; readonly promptTokens: number; readonly contextLength: number }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'failed'; readonly message: string }

export interface InferenceOptions {
  /** At most so many threads for each model's process. */
  readonly threads: number
  /** Requests that may wait for one model. */
  readonly maxQueue: number
  /** Tokens; a model with a longer context is opened with this one. */
  readonly maxContext: number
  /** Bytes. */
  readonly maxAdapter: number
  /** Bytes that one process may use; absent: see memory-limit.ts. */
  readonly memory?: number | undefined
  readonly gpu: GpuVariant
  readonly gpuLayers: GpuLayers
  readonly patience: Patience
}

const DEFAULTS: InferenceOptions = {
  threads: 2,
  maxQueue: 32,
  maxContext: 4096,
  maxAdapter: 512 * 1024 * 1024,
  gpu: 'cpu',
  gpuLayers: 'auto',
  patience: PATIENCE,
}

/** Tokens with which a base is served. @param most for those that have no number of their own */
export function servedContext({ engine, contextLength }: BaseModel, most = DEFAULTS.maxContext): number {
  return engine?.context ?? Math.min(contextLength, most)
}

/**
 * Serves GGUF models with llama.cpp, one process for each loaded model. llama.cpp caches adapters by path, so two
 * customers' adapters must never be in one process. Ending the process deletes the weights.
 */
export function llamaRuntime(catalogue: Catalogue, options: Partial<InferenceOptions> = {}): InferenceRuntime {
  const settings = { ...DEFAULTS, ...options }
  const { gpu } = settings
  return {
    async load({ base, baseSha256, adapter, signal }) {
      const model = catalogue.find(base, baseSha256)
      const bytes = adapter === undefined ? undefined : await collect(adapter, settings.maxAdapter)
      signal?.throwIfAborted()
      const child = startEngineProcess(new URL('./inference.child.ts', import.meta.url), "model's process", {
        patience: settings.patience,
        reads: [model.path],
        memory: settings.memory,
        gpu,
      })
      const abort = (): void => child.kill()
      signal?.addEventListener('abort', abort, { once: true })
      try {
        const { engine = {} } = model
        const load: InferenceCommand = {
          type: 'load',
          path: model.path,
          contextLength: servedContext(model, settings.maxContext),
          threads: threadsFor(model, settings.threads),
          gpu,
          gpuLayers: engine.gpuLayers ?? settings.gpuLayers,
        }
        if (model.openWeights !== undefined) await sendWeights(child, model.openWeights)
        await child.send(load, bytes)
        const first = await next(child)
        if (first.type !== 'ready') throw new EngineFailure(`the model could not be loaded: ${describe(first)}`)
        signal?.throwIfAborted()
      } catch (error) {
        child.kill()
        signal?.throwIfAborted()
        throw error
      } finally {
        signal?.removeEventListener('abort', abort)
        bytes?.fill(0)
      }
      return loadedModel(child, settings.maxQueue)
    },
  }
}

const describe = (reply: InferenceReply): string => (reply.type === 'failed' ? reply.message : reply.type)

async function next(child: EngineProcess): Promise<InferenceReply> {
  return (await child.next()).header as unknown as InferenceReply
}

function loadedModel(child: EngineProcess, maxQueue: number): LoadedModel {
  let waiting = 0
  let last: Promise<void> = Promise.resolve()

  async function* chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatDelta> {
    signal.throwIfAborted()
    if (waiting >= maxQueue) throw new EngineBusy('too many requests wait for this model; try again in a moment')
    const { promise: done, resolve: release } = Promise.withResolvers<void>()
    const before = last
    last = done
    waiting += 1
    try {
      await before
      signal.throwIfAborted()
      yield* answer(child, request, signal)
    } finally {
      waiting -= 1
      release()
    }
  }

  return {
    chat,
    pid: child.pid,
    ended: child.ended.then(({ how }) => how),
    async unload() {
      child.kill()
      await child.ended
    },
  }
}

async function* answer(child: EngineProcess, request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatDelta> {
  const abort = (): void => void child.send({ type: 'abort' }).catch(() => undefined)
  let open = true
  signal.addEventListener('abort', abort, { once: true })
  try {
    await child.send({ type: 'chat', request })
    while (open) {
      const reply = await next(child)
      open = reply.type === 'text'
      signal.throwIfAborted()
      if (reply.type === 'too-long') throw new ContextTooLong(reply.promptTokens, reply.contextLength)
      if (reply.type === 'refused') throw new ConversationRefused(reply.message)
      if (reply.type === 'failed' || reply.type === 'ready' || reply.type === 'gpu') {
        throw new EngineFailure(`the model could not answer: ${describe(reply)}`)
      }
      yield reply
    }
  } finally {
    signal.removeEventListener('abort', abort)
    // A reader that stops, by abort or by `break`, must leave the pipe at the border between two answers.
    if (open) {
      abort()
      while ((await next(child).catch(() => undefined))?.type === 'text');
    }
  }
}

async function collect(stream: Readable, limit: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    parts.push(chunk as Buffer)
    size += (chunk as Buffer).length
    if (size > limit) throw new EngineFailure(`the adapter is larger than ${limit} bytes`)
  }
  return Buffer.concat(parts)
}
