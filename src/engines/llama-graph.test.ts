import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadGgml } from './ggml.ts'
import type { GgufTensor, StoredTensor } from './gguf.ts'
import type { Batch } from './llama-graph.ts'
import { buildStep } from './llama-graph.ts'
import { inMemory, placeWeights, upload } from './placed-weights.ts'
import { StepMemory } from './step-memory.ts'
import { TINY_LLAMA, tinyLinear, tinyTensor, tinyTensors } from './tiny-llama.test-support.ts'
import { uniform } from './training-batches.ts'

const SHAPE = TINY_LLAMA

function tensors(adapter: boolean): GgufTensor[] {
  if (!adapter) return tinyTensors(SHAPE)
  const random = uniform(5)
  return tinyLinear(SHAPE).flatMap(([name, columns, rows]) => [
    tinyTensor(random, `${name}.lora_a`, [columns, 4]),
    tinyTensor(random, `${name}.lora_b`, [4, rows]),
  ])
}

// Grouped-query attention, two sequences, a row of weight 0: the gradient passes through all of these.
const BATCH: Batch = {
  ids: Int32Array.from({ length: 16 }, (_, index) => (index * 7) % 40),
  rows: Int32Array.of(0, 1, 3, 5, 8, 9, 12, 14),
  targets: Int32Array.of(1, 5, 9, 22, 39, 0, 7, 7),
  weights: Float32Array.of(1, 1, 0, 1, 1, 1, 1, 1).map(weight => weight / 7),
}

const ggml = loadGgml(1)

for (const adapter of [false, true]) {
  test(`gradients of ${adapter ? 'an adapter' : 'all weights'} agree with finite differences`, async () => {
    const trained = adapter ? tensors(true) : tensors(false)
    const weights = placeWeights(ggml, adapter ? tensors(false).map(inMemory) : [], trained, {
      loraScale: 2,
      turned: true,
    })
    const graph = buildStep(ggml, SHAPE, weights, { length: 8, sequences: 2, rows: 12 }, true)
    graph.allot(new StepMemory(ggml))
    const loss = async (): Promise<number> => {
      const { probabilities } = await graph.run(BATCH)
      return probabilities.reduce((sum, p, row) => sum - Math.log(p) * (BATCH.weights[row] as number), 0)
    }
    await loss()
    const gradients = trained.map(({ name, data }) => {
      const gradient = new Float32Array(data.length)
      graph.gradient(name, gradient)
      return gradient
    })
    const random = uniform(9)
    for (const [index, tensor] of trained.entries()) {
      const direction = tensor.data.map(() => random() - 0.5)
      const size = 0.02 / Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0))
      const slope = direction.reduce((sum, value, at) => sum + value * (gradients[index]?.[at] ?? 0), 0)
      const moved = async (by: number): Promise<number> => {
        const data = tensor.data.map((value, at) => value + by * (direction[at] as number))
        upload(ggml, weights, { ...tensor, data })
        return loss()
      }
      const measured = ((await moved(size)) - (await moved(-size))) / (2 * size)
      await moved(0)
      const scale = Math.max(Math.abs(slope), Math.abs(measured), 0.01)
      assert.ok(Math.abs(slope - measured) / scale < 0.02, `${tensor.name}: ${slope} against ${measured}`)
    }
    graph.free()
  })
}

const TYPES = [
  { type: 30, name: 'BF16', bytes: 2, decode: 'ggml_bf16_to_fp32_row' },
  { type: 2, name: 'Q4_0', bytes: 18 / 32, decode: 'dequantize_row_q4_0' },
] as const

/** Probabilities and an adapter's gradients on a base in a type, or on the same values as F32. */
async function stepOn({ type, bytes, decode }: (typeof TYPES)[number], asF32: boolean, turned: boolean) {
  const base = tensors(false).map((tensor): StoredTensor => {
    const { data, shape } = tensor
    if (shape[1] === 1) return inMemory(tensor)
    const packed = Buffer.alloc(data.length * bytes)
    ggml.call.ggml_quantize_chunk(type, data, packed, 0, shape[1], shape[0], null)
    const values = new Float32Array(data.length)
    ggml.dequantize(decode, packed, values)
    const f32 = inMemory({ ...tensor, data: values })
    return asF32 ? f32 : { ...f32, type, bytes: () => packed }
  })
  const trained = tensors(true)
  const graph = buildStep(
    ggml,
    SHAPE,
    placeWeights(ggml, base, trained, { loraScale: 2, turned }),
    { length: 8, sequences: 2, rows: 12 },
    true,
  )
  graph.allot(new StepMemory(ggml))
  const { probabilities } = await graph.run(BATCH)
  const gradients = trained.flatMap(({ name, data }) => {
    const gradient = new Float32Array(data.length)
    graph.gradient(name, gradient)
    return [...gradient]
  })
  graph.free()
  return { probabilities, gradients }
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] as number), 0)

for (const kind of TYPES) {
  test(`a base in ${kind.name} gives the probabilities of its values in F32, and gradients in their direction`, async () => {
    const exact = await stepOn(kind, true, true)
    for (const turned of [true, false]) {
      const { probabilities, gradients } = await stepOn(kind, false, turned)
      assert.deepEqual(probabilities, exact.probabilities)
      const [across, own, theirs] = [
        dot(gradients, exact.gradients),
        dot(gradients, gradients),
        dot(exact.gradients, exact.gradients),
      ]
      const cosine = across / Math.sqrt(own * theirs)
      assert.ok(cosine > 0.9999 && cosine < 1.000001, String(cosine))
      assert.ok(Math.abs(own / theirs - 1) < 0.01, String(own / theirs))
    }
    assert.deepEqual((await stepOn(kind, false, true)).gradients, (await stepOn(kind, false, false)).gradients)
  })
}
