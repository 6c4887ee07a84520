import type { Parameter } from './adamw.ts'
import type { ResolvedHyperparameters } from './engine.ts'
import { EngineFailure } from './failures.ts'

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

const MAGIC = 'OKTRAIN1'

/** Magic, u32 header length, JSON header, then data, mean and variance of each tensor as F32, little endian. */
export function encodeState(position: TrainingPosition, parameters: readonly Parameter[]): Buffer {
  const header = Buffer.from(
    JSON.stringify({ position, tensors: parameters.map(({ name, shape }) => [name, ...shape]) }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32LE(header.length)
  const bytes = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  const values = parameters.flatMap(({ data, mean, variance }) => [bytes(data), bytes(mean), bytes(variance)])
  return Buffer.concat([Buffer.from(MAGIC), length, header, ...values])
}

/** Fills `parameters` from a state. @throws EngineFailure when it does not belong to this base */
export function decodeState(state: Buffer, parameters: readonly Parameter[]): TrainingPosition {
  const broken = (what: string): EngineFailure => new EngineFailure(`the training checkpoint ${what}`)
  if (state.toString('latin1', 0, 8) !== MAGIC) throw broken('is not one of this trainer')
  const start = 12 + state.readUInt32LE(8)
  const { position, tensors } = JSON.parse(state.toString('utf8', 12, start)) as {
    position: TrainingPosition
    tensors: unknown
  }
  if (JSON.stringify(tensors) !== JSON.stringify(parameters.map(({ name, shape }) => [name, ...shape]))) {
    throw broken('belongs to another base model')
  }
  let at = start
  for (const { data, mean, variance } of parameters) {
    for (const values of [data, mean, variance]) {
      const target = Buffer.from(values.buffer, values.byteOffset, values.byteLength)
      if (state.copy(target, 0, at, at + values.byteLength) !== values.byteLength) throw broken('is cut off')
      at += values.byteLength
    }
  }
  if (at !== state.length) throw broken('has bytes that do not belong to it')
  return position
}
