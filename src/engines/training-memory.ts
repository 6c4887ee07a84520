import { TrainingDataUnfit } from './failures.ts'
import { F32 } from './ggml.ts'
import type { StoredTensor } from './gguf.ts'
import type { StepSize } from './llama-graph.ts'
import { memoryOfMachine } from './memory-limit.ts'
import type { EncodedExample } from './training-batches.ts'
import { largestPasses } from './training-batches.ts'

/** Node.js with the trainer's code, and what reading and sending take: measured. */
const PROGRAM = 160 * 1024 ** 2

/** Transposed copies of the weights are worth their memory while they take no more than an eighth of what there is. */
export function turnedFits(base: readonly StoredTensor[]): boolean {
  const bytes = base.reduce((sum, { shape, type }) => sum + shape[0] * shape[1] * (type === F32 ? 4 : 2), 0)
  return bytes <= memoryOfMachine() / 8
}

/**
 * Says before the first step that a training does not fit, since the kernel would otherwise end it in the middle of one.
 * @param given `weights`: bytes of weights and optimizer; `step`: what a step of a size computes in
 * @throws TrainingDataUnfit
 */
export function checkMemory(
  examples: readonly EncodedExample[],
  batchSize: number,
  given: { readonly weights: number; readonly step: (size: StepSize) => number; readonly limit: number },
): void {
  const sizes = largestPasses(examples, batchSize)
  const needed = PROGRAM + given.weights + Math.max(0, ...sizes.map(size => given.step(size)))
  if (needed <= given.limit) return
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`
  throw new TrainingDataUnfit(
    'outOfMemory',
    `This training needs ${gigabytes(needed)} of memory, and there is ${gigabytes(given.limit)}. Of that ${gigabytes(given.weights)} are for ` +
      `the base and the optimizer; the rest is for examples of up to ${(sizes[0]?.length ?? 0).toLocaleString('en')} tokens: shorten the longest, or use a smaller base.`,
  )
}
