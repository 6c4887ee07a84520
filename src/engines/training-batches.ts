import { chatTokens, type ChatLayout } from './chat-layout.ts'
import type { Conversation, Hyperparameters, ResolvedHyperparameters } from './engine.ts'
import { EngineFailure } from './failures.ts'
import type { Batch, StepSize } from './llama-graph.ts'
import type { TrainingExample } from './training-file.ts'

/** One example as the model reads it. */
export interface EncodedExample {
  readonly ids: readonly number[]
  /** Positions whose next token is learned. */
  readonly rows: readonly number[]
  readonly tokens: number
  /** It had more tokens than the context. */
  readonly isCut?: boolean
}

/** Cuts an example at `context` tokens, as the public service does; undefined when nothing to learn is left. */
export function encodeExample(
  layout: ChatLayout,
  conversation: Conversation,
  context: number,
): EncodedExample | undefined {
  const { ids, learn } = chatTokens(layout, conversation, false)
  const kept = ids.slice(0, context)
  const rows = kept.flatMap((_, index) => (index > 0 && learn[index] === true ? [index - 1] : []))
  return rows.length === 0 ? undefined : { ids: kept, rows, tokens: kept.length, isCut: kept.length < ids.length }
}

/** As `encodeExample`, of a line of a file for supervised training. */
export function encodeConversation(
  layout: ChatLayout,
  { nonPreferred, ...conversation }: TrainingExample,
  context: number,
): EncodedExample | undefined {
  if (nonPreferred !== undefined) throw new EngineFailure('the data has preferences, which only dpo takes')
  return encodeExample(layout, conversation, context)
}

/**
 * Epochs of a small file, and their rate. With them a dozen examples are learned word for word, with every seed
 * that was tried. 25 epochs at multiplier 1 left most answers half-learned ("Paris.er to res."). More epochs and
 * higher rates only cost knowledge of the base (models/README.md).
 */
const SMALL = { epochs: 30, rate: 2 } as const

/**
 * A model that knows much already takes on a style from few epochs. With these SmolLM2 took on that of a dozen examples and kept what it
 * knew; with 3 it hardly did, and with 10 it recited them and forgot (docs/models.md).
 */
const LARGE = { parameters: 20_000_000, examples: 84, least: 3, most: 7 } as const

/** The most tokens that `auto` trains on, except that it does at least one epoch: about a minute of the embedded model on one core. */
const AUTO_TOKENS = 150_000

/** The most epochs that `auto` does. @param tokens of one */
export function affordableEpochs(tokens: number): number {
  return Math.max(1, Math.floor(AUTO_TOKENS / Math.max(1, tokens)))
}

/** Whether a base needs few epochs and small steps, by its parameters. */
export function knowsMuch(parameters: number): boolean {
  return parameters >= LARGE.parameters
}

/**
 * The value of `auto` for a number of examples.
 * @param given `tokens` of one epoch, `parameters` of the base
 */
export function resolveHyperparameters(
  wanted: Hyperparameters,
  given: { readonly examples: number; readonly tokens: number; readonly parameters: number },
): ResolvedHyperparameters {
  const { examples, tokens, parameters } = given
  const batchSize = Math.min(
    examples,
    wanted.batchSize === 'auto' ? Math.min(8, Math.max(1, Math.ceil(examples / 4))) : wanted.batchSize,
  )
  const isLarge = knowsMuch(parameters)
  const enough = isLarge
    ? Math.min(LARGE.most, Math.max(LARGE.least, Math.ceil(LARGE.examples / examples)))
    : SMALL.epochs
  const nEpochs = wanted.nEpochs === 'auto' ? Math.min(enough, affordableEpochs(tokens)) : wanted.nEpochs
  // That rate belongs to these epochs. With other epochs, by the file's size or the user's choice, it is 1.
  const autoRate = !isLarge && wanted.nEpochs === 'auto' && nEpochs === SMALL.epochs ? SMALL.rate : 1
  const learningRateMultiplier = wanted.learningRateMultiplier === 'auto' ? autoRate : wanted.learningRateMultiplier
  return { nEpochs, batchSize, learningRateMultiplier }
}

/** The order of the examples in an epoch: a shuffle by seed and epoch alone, so that a resumed run repeats it. */
export function epochOrder(examples: number, seed: number, epoch: number): number[] {
  const random = uniform(seed ^ Math.imul(epoch + 1, 0x9e3779b1))
  const order = Array.from({ length: examples }, (_, index) => index)
  for (let index = examples - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1))
    ;[order[index], order[other]] = [order[other] as number, order[index] as number]
  }
  return order
}

/** Seeded numbers in [0, 1) (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface MicroBatch {
  readonly size: StepSize
  readonly batch: Batch
  /** Which examples it has, in the order of its rows: each has as many as it learns. */
  readonly members: readonly number[]
}

/** Tokens that one pass computes at once, if an example does not have more. It bounds memory for every batch size; more are hardly faster. */
const TOKENS_PER_PASS = 512

const roundUp = (value: number, unit: number): number => Math.ceil(value / unit) * unit
/** The least size of a pass's examples, in tokens. */
const LEAST = 16
/** Rounds to few different sizes, so that graphs can be reused. */
const bucket = (length: number): number => roundUp(length, length <= 256 ? LEAST : 64)

/**
 * Splits one step's examples into passes of similar lengths.
 * @param weights of each example's rows in the loss: minus the log-probability of their targets; they may be negative
 */
export function microBatches(examples: readonly EncodedExample[], weights: readonly number[]): MicroBatch[] {
  const lengthOf = (index: number | undefined): number => (index === undefined ? 1 : (examples[index]?.ids.length ?? 1))
  const sorted = [...examples.keys()].toSorted((a, b) => lengthOf(b) - lengthOf(a))
  const batches: MicroBatch[] = []
  for (let at = 0; at < sorted.length;) {
    const length = bucket(lengthOf(sorted[at]))
    const sequences = Math.max(1, Math.min(sorted.length - at, Math.floor(TOKENS_PER_PASS / length)))
    batches.push(microBatch(examples, weights, sorted.slice(at, at + sequences), length))
    at += sequences
  }
  return batches
}

/**
 * The sizes among which is the largest that a pass of batches of these examples can have: the one with the longest example, and the one with
 * the most tokens, which several shorter examples may have.
 */
export function largestPasses(examples: readonly EncodedExample[], batchSize: number): StepSize[] {
  const lengths = examples.map(({ ids }) => bucket(ids.length)).toSorted((a, b) => b - a)
  const most = examples.map(({ rows }) => rows.length).toSorted((a, b) => b - a)
  const learned = most.slice(0, Math.min(batchSize, TOKENS_PER_PASS / LEAST)).reduce((sum, count) => sum + count, 0)
  const sizes = lengths.map((length, at): StepSize => {
    const fits = Math.min(batchSize, lengths.length - at, Math.floor(TOKENS_PER_PASS / length))
    const rows = roundUp(Math.min(learned, Math.max(TOKENS_PER_PASS, length)), 64)
    return { length, sequences: Math.max(1, fits), rows }
  })
  const tokensOf = ({ length, sequences }: StepSize): number => length * sequences
  const [longest, ...others] = sizes
  if (longest === undefined) return []
  const fullest = others.reduce((best, size) => (tokensOf(size) > tokensOf(best) ? size : best), longest)
  return fullest === longest ? [longest] : [longest, fullest]
}

function microBatch(
  examples: readonly EncodedExample[],
  weightOf: readonly number[],
  members: readonly number[],
  length: number,
): MicroBatch {
  const ids = new Int32Array(members.length * length)
  const [rows, targets, weights]: [number[], number[], number[]] = [[], [], []]
  for (const [sequence, member] of members.entries()) {
    const example = examples[member] as EncodedExample
    ids.set(example.ids, sequence * length)
    for (const row of example.rows) {
      rows.push(sequence * length + row)
      targets.push(example.ids[row + 1] as number)
      weights.push(weightOf[member] ?? 0)
    }
  }
  return {
    size: { length, sequences: members.length, rows: roundUp(rows.length, 64) },
    batch: {
      ids,
      rows: Int32Array.from(rows),
      targets: Int32Array.from(targets),
      weights: Float32Array.from(weights),
    },
    members,
  }
}
