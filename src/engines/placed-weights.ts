import { TrainingDataUnfit } from './failures.ts'
import type { Ggml } from './ggml.ts'
import { BF16, F32 } from './ggml.ts'
import type { GgufTensor, StoredTensor } from './gguf.ts'
import type { Weights } from './llama-model.ts'
import { getsOn } from './sign-of-life.ts'
import { turnedType, type Var } from './tape.ts'

export interface Placing {
  /** LoRA: scale of B A x. */
  readonly loraScale: number
  /** Whether frozen matrices get a transposed copy, at 2 or 4 bytes a value, so that no step has to transpose them. */
  readonly turned: boolean
}

/** Weights whose places are reserved. The memory is taken when they are filled. */
export interface ReservedWeights {
  readonly weights: Weights
  /** Of all tensors. */
  readonly bytes: number
  readonly fill: () => void
}

/** Reserves places for tensors where ggml computes. Frozen matrices keep their file's type. @throws TrainingDataUnfit when memory does not suffice */
export function reserveWeights(
  ggml: Ggml,
  frozen: readonly StoredTensor[],
  trained: readonly GgufTensor[],
  { loraScale, turned: wantsTurned }: Placing,
): ReservedWeights {
  const { call } = ggml
  const ctx = ggml.context(2 * (frozen.length + trained.length) + 8)
  const create = (shape: readonly [number, number], trains: boolean, type = F32): Var => ({
    tensor: call.ggml_new_tensor_4d(ctx, type, shape[0], shape[1], 1, 1),
    shape: [shape[0], shape[1], 1, 1],
    trains,
    ...(type === F32 ? {} : { type }),
  })
  const tensors = new Map<string, Var>()
  const turned = new Map<string, Var>()
  for (const { name, shape } of trained) tensors.set(name, create(shape, true))
  const tied = !frozen.some(tensor => tensor.name === 'output.weight')
  for (const { name, shape, type } of frozen) {
    const isMatrix = shape[1] > 1
    tensors.set(name, create(shape, false, isMatrix ? type : F32))
    const isMultiplied = isMatrix && (name !== 'token_embd.weight' || tied)
    if (isMultiplied && wantsTurned) turned.set(name, create([shape[1], shape[0]], false, turnedType(ggml, type)))
  }
  const weights = { tensors, turned, loraScale }
  const all = [...tensors.values(), ...turned.values()]
  const bytes = all.reduce((sum, { tensor }) => sum + Number(call.ggml_nbytes(tensor)), 0)
  if (call.ggml_backend_alloc_ctx_tensors(ctx, ggml.backend) === null) {
    // Far above the bound the process's own limit refuses it, before it could be compared (memory-limit.ts).
    const message = `This training needs ${(bytes / 1e9).toFixed(1)} GB of memory for the base alone, which this machine does not give: use a smaller base.`
    throw new TrainingDataUnfit('outOfMemory', message)
  }
  const fill = (): void => {
    for (const tensor of frozen) fillFrozen(ggml, weights, tensor)
    for (const tensor of trained) upload(ggml, weights, tensor)
  }
  return { weights, bytes, fill }
}

/** Puts tensors where ggml computes. @throws TrainingDataUnfit when memory does not suffice */
export function placeWeights(...given: Parameters<typeof reserveWeights>): Weights {
  const { weights, fill } = reserveWeights(...given)
  fill()
  return weights
}

function fillFrozen(ggml: Ggml, { tensors, turned }: Weights, tensor: StoredTensor): void {
  getsOn()
  const { call } = ggml
  const [columns, rows] = tensor.shape
  const data = rows > 1 ? tensor.bytes() : tensor.values()
  call.ggml_backend_tensor_set(tensors.get(tensor.name)?.tensor, data, 0, data.byteLength)
  const copy = turned.get(tensor.name)
  if (copy === undefined) return
  const values = transposed(tensor.values(), tensor.shape)
  const other = copy.type === BF16 ? asBf16(ggml, values, columns) : values
  call.ggml_backend_tensor_set(copy.tensor, other, 0, other.byteLength)
}

/** Copies new values of a tensor to where ggml computes. */
export function upload(ggml: Ggml, weights: Weights, tensor: GgufTensor): void {
  ggml.call.ggml_backend_tensor_set(weights.tensors.get(tensor.name)?.tensor, tensor.data, 0, tensor.data.byteLength)
}

/** A tensor that is in memory already. */
export const inMemory = ({ name, shape, data }: GgufTensor): StoredTensor => ({
  name,
  shape,
  type: F32,
  bytes: () => Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  values: () => data,
})

function asBf16(ggml: Ggml, data: Float32Array, rows: number): Buffer {
  const into = Buffer.alloc(data.length * 2)
  ggml.call.ggml_quantize_chunk(BF16, data, into, 0, rows, data.length / rows, null)
  return into
}

function transposed(data: Float32Array, shape: readonly [number, number]): Float32Array {
  const [columns, rows] = shape
  const result = new Float32Array(data.length)
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      result[column * rows + row] = data[row * columns + column] as number
    }
  }
  return result
}
