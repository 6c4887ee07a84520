import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { learningRate } from '../../src/engines/adamw.ts'
import { encodeFile } from '../../src/engines/encode-file.ts'
import { loadVocabulary } from '../../src/engines/llama-vocabulary.ts'
import { encodeConversation, epochOrder, type EncodedExample } from '../../src/engines/training-batches.ts'
import type { SharedModel } from './f32-model.ts'

/** A training of one epoch, as text for the product and as tokens, order and rates for the reference. */
export interface Plan {
  readonly train: Buffer
  readonly batchSize: number
  readonly seed: number
  readonly steps: readonly { readonly sequences: readonly EncodedExample[]; readonly rate: number }[]
  readonly tokens: number
}

export interface Wanted {
  readonly data: string
  readonly steps: number
  readonly batchSize: number
  readonly seed: number
  /** Only examples with at most so many tokens, the longest first, so that all have about the same length. */
  readonly tokens?: number | undefined
}

/** Lays out, tokenizes and orders examples as the product does. @throws Error when the file has too few */
export async function planOf(model: SharedModel, wanted: Wanted): Promise<Plan> {
  const { batchSize, seed, steps: totalSteps } = wanted
  const lines = (await readFile(wanted.data, 'utf8')).split('\n').filter(line => line !== '')
  const { layout, dispose } = await loadVocabulary(model.path)
  const source = Readable.from([Buffer.from(lines.join('\n'))])
  const { encoded } = await encodeFile(source, example => encodeConversation(layout, example, model.context), {
    file: 'training',
    context: model.context,
  })
  await dispose()
  const all = encoded.map((example, index) => ({ example, line: lines[index] as string }))
  const most = wanted.tokens
  const sized =
    most === undefined
      ? all
      : all
          .filter(({ example }) => example.ids.length <= most)
          .toSorted((a, b) => b.example.ids.length - a.example.ids.length)
  const chosen = sized.slice(0, totalSteps * batchSize)
  if (encoded.length !== lines.length || chosen.length < totalSteps * batchSize)
    throw new Error(`${wanted.data} has ${chosen.length} such examples, and ${totalSteps * batchSize} are needed`)
  const order = epochOrder(chosen.length, seed, 1)
  const steps = Array.from({ length: totalSteps }, (_, index) => ({
    sequences: order.slice(index * batchSize, (index + 1) * batchSize).map(at => chosen[at]?.example as EncodedExample),
    rate: learningRate({ step: index + 1, totalSteps, width: model.width, multiplier: 1 }),
  }))
  return {
    train: Buffer.from(chosen.map(({ line }) => `${line}\n`).join('')),
    batchSize,
    seed,
    steps,
    tokens: chosen.reduce((sum, { example }) => sum + example.ids.length, 0),
  }
}
