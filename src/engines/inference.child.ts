/** Serves one model: frames of `InferenceCommand` come in on stdin, `InferenceReply` go out on fd 3. */
import { createWriteStream } from 'node:fs'
import type { LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp'
import { answerEnds, chatTokens, type ChatLayout } from './chat-layout.ts'
import type { ChatRequest } from './engine.ts'
import { ContextTooLong, ConversationRefused } from './failures.ts'
import { readFrames, writeFrame } from './frames.ts'
import type { InferenceCommand, InferenceReply } from './inference.ts'
import { chatLayout } from './llama-vocabulary.ts'
import { openLlama } from './open-llama.ts'
import { memoryFile } from './memory-file.ts'
import { ReceivedWeights } from './sealed-weights.ts'
import { beginLife } from './sign-of-life.ts'
import { StopFilter } from './stop-filter.ts'

beginLife()

interface Loaded {
  readonly model: LlamaModel
  readonly sequence: LlamaContextSequence
  readonly layout: ChatLayout
  /** Tokens that end an answer, besides those that the file names. */
  readonly ends: ReadonlySet<number>
  readonly contextLength: number
}

const output = createWriteStream('', { fd: 3 })
const reply = (message: InferenceReply): Promise<void> => writeFrame(output, message)

async function load(command: Extract<InferenceCommand, { type: 'load' }>, adapter: Buffer): Promise<Loaded> {
  const { gpu, gpuLayers } = command
  const llama = await openLlama(command.threads, gpu)
  const model = await llama.loadModel({ modelPath: command.path, gpuLayers: gpu === 'cpu' ? 0 : gpuLayers })
  const file = adapter.length === 0 ? undefined : memoryFile(adapter)
  const context = await model.createContext({
    contextSize: command.contextLength,
    batchSize: Math.min(512, command.contextLength),
    threads: command.threads,
    sequences: 1,
    ...(file && { lora: { adapters: [{ filePath: file.path }] } }),
  })
  const layout = chatLayout(model, command.path)
  const sequence = context.getSequence()
  file?.close()
  return { model, sequence, layout, ends: new Set(answerEnds(layout)), contextLength: command.contextLength }
}

async function chat(loaded: Loaded, request: ChatRequest, signal: AbortSignal): Promise<void> {
  const { model, sequence, layout, ends, contextLength } = loaded
  const prompt = chatTokens(layout, request, true).ids as Token[]
  if (prompt.length >= contextLength) throw new ContextTooLong(prompt.length, contextLength)
  // Data of one request must not reach another, so earlier prompts are not cached.
  await sequence.clearHistory()
  const limit = Math.min(request.maxTokens ?? Infinity, contextLength - prompt.length)
  const filter = new StopFilter(request.stop ?? [])
  const temperature = request.temperature ?? 1
  const sampling = { temperature, topK: 0, topP: request.topP ?? 1, minP: 0, seed: request.seed ?? randomSeed() }
  let [completionTokens, finishReason]: [number, 'stop' | 'length'] = [0, 'length']
  let shown: Token[] = []
  let pending: Token[] = []
  for await (const token of sequence.evaluate(prompt, { ...sampling, yieldEogToken: true })) {
    if (signal.aborted) break
    if (ends.has(token) || model.isEogToken(token)) {
      finishReason = 'stop'
      break
    }
    completionTokens += 1
    pending.push(token)
    const text = model.detokenize(pending, false, shown)
    // A character may span tokens, so wait for the rest of it, but never for more than its four bytes.
    if (!text.endsWith('\uFFFD') || pending.length > 4) {
      shown = [...shown, ...pending].slice(-8)
      pending = []
      const passed = filter.push(text)
      if (passed.text !== '') await reply({ type: 'text', text: passed.text })
      if (passed.stopped) {
        finishReason = 'stop'
        break
      }
    }
    if (completionTokens >= limit) break
  }
  const rest = filter.flush() + (pending.length > 0 ? model.detokenize(pending, false, shown) : '')
  if (rest !== '') await reply({ type: 'text', text: rest })
  await sequence.clearHistory()
  await reply({ type: 'end', finishReason, promptTokens: prompt.length, completionTokens })
}

const randomSeed = (): number => Math.floor(Math.random() * 2 ** 32)

async function serve(): Promise<void> {
  const weights = new ReceivedWeights()
  let loaded: Loaded | undefined
  let running = Promise.resolve()
  let current = new AbortController()
  for await (const { header, body } of readFrames(process.stdin)) {
    const command = header as unknown as InferenceCommand
    switch (command.type) {
      case 'weights':
        weights.add(body)
        break
      case 'load':
        loaded = await load({ ...command, path: weights.pathOr(command.path) }, body)
        await reply({ type: 'ready' })
        break
      case 'probe': {
        const devices = await (await openLlama(1, command.gpu)).getGpuDeviceNames()
        await reply(devices.length === 0 ? { type: 'failed', message: 'no device' } : { type: 'gpu', devices })
        break
      }
      case 'abort':
        current.abort()
        break
      case 'chat': {
        const model = loaded as Loaded
        await running
        current = new AbortController()
        const { signal } = current
        running = chat(model, command.request, signal).catch((error: unknown) => fail(error))
      }
    }
  }
}

async function fail(error: unknown): Promise<void> {
  if (error instanceof ContextTooLong) {
    await reply({ type: 'too-long', promptTokens: error.promptTokens, contextLength: error.contextLength })
  } else if (error instanceof ConversationRefused) {
    await reply({ type: 'refused', message: error.message })
  } else {
    await reply({ type: 'failed', message: error instanceof Error ? error.message.slice(0, 300) : 'unknown' })
  }
}

try {
  await serve()
} catch (error) {
  await fail(error)
}
output.end(() => process.exit(0))
