import { parameter } from './adamw.ts'
import type { ResolvedHyperparameters } from './engine.ts'
import { EngineFailure } from './failures.ts'
import type { GgufTensor } from './gguf.ts'
import { checkFit, type Adapter } from './lora.ts'
import { LORA } from './lora-settings.ts'

/** The position of a training run. Everything else follows from data, seed and base. */
export interface TrainingPosition {
  /** Steps done. */
  readonly step: number
  readonly totalSteps: number
  readonly trainedTokens: number
  readonly seed: number
  readonly examples: number
  readonly base: string
  readonly hyperparameters: ResolvedHyperparameters
}

interface Header {
  readonly position: TrainingPosition
  /** Of the adapter; absent in states from before it was kept, which had the default. */
  readonly alpha?: number
  /** How many numbers of the reference follow the tensors; absent: none. */
  readonly references?: number
  /** [name, columns, rows] of each. */
  readonly tensors: readonly (readonly [string, number, number])[]
}

const MAGIC = 'OKTRAIN1'

/** A state to resume from. */
export interface TrainingState {
  readonly position: TrainingPosition
  readonly adapter: Adapter
  /** Of DPO: what the reference makes of each example. A model that was trained can't give it any more. */
  readonly reference: Float64Array
}

/**
 * Magic, u32 header length, JSON header, then data, mean and variance of each tensor as F32 and the reference as F64, all
 * little endian.
 */
export function encodeState({ position, adapter: { parameters, alpha }, reference }: TrainingState): Buffer {
  const tensors = parameters.map(({ name, shape }) => [name, ...shape] as const)
  const header = Buffer.from(
    JSON.stringify({ position, alpha, references: reference.length, tensors } satisfies Header),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  const values = parameters.flatMap(({ data, mean, variance }) => [bytes(data), bytes(mean), bytes(variance)])
  return Buffer.concat([Buffer.from(MAGIC), length, header, ...values, bytes(reference)])
}

/** The adapter has the shape with which its training began. @throws EngineFailure when it does not fit the base */
export function decodeState(state: Buffer, base: readonly Pick<GgufTensor, 'name' | 'shape'>[]): TrainingState {
  const broken = (what: string): EngineFailure => new EngineFailure(`the training checkpoint ${what}`)
  if (state.toString('latin1', 0, 8) !== MAGIC) throw broken('is not one of this trainer')
  const start = 12 + state.readUInt32LE(8)
  const {
    position,
    alpha = LORA.alpha,
    references = 0,
    tensors,
  } = JSON.parse(state.toString('utf8', 12, start)) as Header
  const shapes = tensors.map(([name, columns, rows]) => ({ name, shape: [columns, rows] as const }))
  const rank = checkFit(shapes, base, 'the training checkpoint')
  const parameters = shapes.map(({ name, shape }) => parameter(name, shape, new Float32Array(shape[0] * shape[1])))
  const reference = new Float64Array(references)
  let at = start
  for (const values of [...parameters.flatMap(({ data, mean, variance }) => [data, mean, variance]), reference]) {
    if (state.copy(bytes(values), 0, at, at + values.byteLength) !== values.byteLength) throw broken('is cut off')
    at += values.byteLength
  }
  if (at !== state.length) throw broken('has bytes that do not belong to it')
  return { position, adapter: { parameters, rank, alpha }, reference }
}

function bytes(values: Float32Array | Float64Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}
