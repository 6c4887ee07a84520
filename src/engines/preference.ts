import type { ChatLayout } from './chat-layout.ts'
import type { Hyperparameters, ResolvedHyperparameters, Rewards } from './engine.ts'
import { EngineFailure } from './failures.ts'
import type { ExampleScore, ModelPasses } from './model-passes.ts'
import type { Objective, TrainMetrics, ValidMetrics } from './objective.ts'
import {
  affordableEpochs,
  encodeExample,
  knowsMuch,
  resolveHyperparameters,
  type EncodedExample,
} from './training-batches.ts'
import type { TrainingExample } from './training-file.ts'

/** Two answers to one input. */
export interface EncodedPair {
  readonly preferred: EncodedExample
  readonly nonPreferred: EncodedExample
  readonly tokens: number
  readonly isCut?: boolean
}

/** Each conversation is cut for itself; undefined when nothing of one of the outputs is left. */
export function encodePair(layout: ChatLayout, example: TrainingExample, context: number): EncodedPair | undefined {
  if (example.nonPreferred === undefined)
    throw new EngineFailure('the data has conversations, and dpo takes preferences')
  const preferred = encodeExample(layout, example, context)
  const nonPreferred = encodeExample(layout, { ...example, messages: example.nonPreferred }, context)
  if (preferred === undefined || nonPreferred === undefined) return undefined
  const isCut = preferred.isCut === true || nonPreferred.isCut === true
  return { preferred, nonPreferred, tokens: preferred.tokens + nonPreferred.tokens, isCut }
}

/** The values of `auto`, as Azure documents them. */
export const DPO = { beta: 0.1, l2Multiplier: 0.1 } as const

/**
 * Epochs and rates of `auto`. Both taught a preference that holds on unseen inputs, and kept what the base knew; at twice and at four times
 * the rate they began to forget (docs/training.md).
 */
const SMALL = { epochs: 10, rate: 0.5 } as const
const LARGE = { epochs: 3, rate: 0.05 } as const

/** As `resolveHyperparameters`, for pairs. */
export function resolvePreference(
  wanted: Hyperparameters,
  given: { readonly examples: number; readonly tokens: number; readonly parameters: number },
): ResolvedHyperparameters {
  const { batchSize } = resolveHyperparameters(wanted, given)
  const auto = knowsMuch(given.parameters) ? LARGE : SMALL
  const or = (value: number | 'auto' | undefined, other: number): number =>
    value === undefined || value === 'auto' ? other : value
  return {
    nEpochs: or(wanted.nEpochs, Math.min(auto.epochs, affordableEpochs(given.tokens))),
    batchSize,
    learningRateMultiplier: or(wanted.learningRateMultiplier, auto.rate),
    beta: or(wanted.beta, DPO.beta),
    l2Multiplier: or(wanted.l2Multiplier, DPO.l2Multiplier),
  }
}

/** Scores of the two outputs of a pair. */
type PairScore = readonly [preferred: ExampleScore, nonPreferred: ExampleScore]

/**
 * Direct preference optimization (Rafailov et al., arXiv 2305.18290, equation 7): the mean over pairs of -log sigmoid(margin), where margin
 * is beta times how much more the model prefers the preferred output than the reference does. The reference is the model at the start.
 */
export class PreferenceObjective implements Objective {
  readonly #passes: ModelPasses
  readonly #train: readonly EncodedPair[]
  readonly #valid: readonly EncodedPair[]
  readonly #beta: number
  #reference: Float64Array

  /** @param reference of a state to resume from; empty: `begin` makes it */
  constructor(
    passes: ModelPasses,
    pairs: { readonly train: readonly EncodedPair[]; readonly valid: readonly EncodedPair[] },
    { beta, reference }: { readonly beta: number; readonly reference: Float64Array },
  ) {
    this.#passes = passes
    this.#train = pairs.train
    this.#valid = pairs.valid
    this.#beta = beta
    this.#reference = reference
    if (reference.length > 0 && reference.length !== 2 * (pairs.train.length + pairs.valid.length))
      throw new EngineFailure('the training checkpoint belongs to other data')
  }

  get examples(): number {
    return this.#train.length
  }

  get tokens(): number {
    return this.#train.reduce((sum, { tokens }) => sum + tokens, 0)
  }

  get hasValidation(): boolean {
    return this.#valid.length > 0
  }

  /** Log-probabilities of preferred and other output of each pair: first those to train on, then those to validate with. */
  get reference(): Float64Array {
    return this.#reference
  }

  async begin(): Promise<void> {
    if (this.#reference.length > 0) return
    const reference: number[] = []
    // One by one in bounded parts, so that a large file takes no more memory than its numbers.
    const all = [...this.#train, ...this.#valid]
    for (let at = 0; at < all.length; at += PAIRS_AT_ONCE)
      for (const pair of await this.#score(all.slice(at, at + PAIRS_AT_ONCE)))
        for (const { logProbability } of pair) reference.push(logProbability)
    this.#reference = Float64Array.from(reference)
  }

  async learn(indexes: readonly number[]): Promise<TrainMetrics> {
    const pairs = indexes.map(index => this.#train[index] as EncodedPair)
    const scores = await this.#score(pairs)
    const margins = scores.map((score, at) => marginOf(this.#rewards(score, indexes[at] ?? 0)))
    // The derivative of the loss by a log-probability is this weight times -1, or +1 for the other output.
    const weights = margins.flatMap(margin => {
      const weight = (this.#beta * sigmoid(-margin)) / pairs.length
      return [weight, -weight]
    })
    await this.#passes.score(sequencesOf(pairs), weights)
    const { loss, accuracy, rewards } = this.#meanOf(scores, indexes)
    return { trainLoss: loss, trainMeanTokenAccuracy: accuracy, trainRewards: rewards }
  }

  async validate(): Promise<ValidMetrics> {
    const scores = await this.#score(this.#valid)
    const indexes = scores.map((_, at) => this.#train.length + at)
    const { loss, accuracy, rewards } = this.#meanOf(scores, indexes)
    return { validLoss: loss, validMeanTokenAccuracy: accuracy, validRewards: rewards }
  }

  async #score(pairs: readonly EncodedPair[]): Promise<PairScore[]> {
    const scores = await this.#passes.score(sequencesOf(pairs))
    return pairs.map((_, at) => [scores[2 * at] as ExampleScore, scores[2 * at + 1] as ExampleScore])
  }

  #rewards([preferred, nonPreferred]: PairScore, index: number): readonly [number, number] {
    const [ofPreferred = 0, ofOther = 0] = this.#reference.subarray(2 * index, 2 * index + 2)
    return [this.#beta * (preferred.logProbability - ofPreferred), this.#beta * (nonPreferred.logProbability - ofOther)]
  }

  #meanOf(scores: readonly PairScore[], indexes: readonly number[]) {
    const sum = { loss: 0, right: 0, tokens: 0, preferred: 0, nonPreferred: 0, won: 0 }
    for (const [at, score] of scores.entries()) {
      const rewards = this.#rewards(score, indexes[at] ?? 0)
      const margin = marginOf(rewards)
      sum.loss += minusLogSigmoid(margin)
      sum.right += score[0].right
      sum.tokens += score[0].tokens
      sum.preferred += rewards[0]
      sum.nonPreferred += rewards[1]
      if (margin > 0) sum.won += 1
    }
    const count = scores.length
    const rewards: Rewards = {
      preferred: sum.preferred / count,
      nonPreferred: sum.nonPreferred / count,
      accuracy: sum.won / count,
    }
    return { loss: sum.loss / count, accuracy: sum.right / sum.tokens, rewards }
  }
}

const PAIRS_AT_ONCE = 256

/** As the model reads them, each pair in a row. */
export function sequencesOf(pairs: readonly EncodedPair[]): EncodedExample[] {
  return pairs.flatMap(({ preferred, nonPreferred }) => [preferred, nonPreferred])
}

function marginOf([preferred, nonPreferred]: readonly [number, number]): number {
  return preferred - nonPreferred
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x))
}

/** Without overflow for any x. */
function minusLogSigmoid(x: number): number {
  return Math.max(0, -x) + Math.log1p(Math.exp(-Math.abs(x)))
}
