import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Token } from 'node-llama-cpp'
import { EMBEDDED_BASE } from './catalogue.ts'
import { loadGgml } from './ggml.ts'
import { encodeGguf, openGguf, type GgufEntry, type GgufTensor, type StoredTensor } from './gguf.ts'
import { buildStep, type Batch } from './llama-graph.ts'
import type { LlamaShape } from './llama-model.ts'
import { openLlama } from './open-llama.ts'
import { encodeAdapter, freshAdapter } from './lora.ts'
import { llamaShape, llamaTensors, MOST_LAYERS } from './model-shape.ts'
import { placeWeights, upload } from './placed-weights.ts'
import { StepMemory } from './step-memory.ts'
import { uniform } from './training-batches.ts'

/*
 * A random tiny model of each architecture is run by llama.cpp and by the trainer's own graph, which must agree on every probability. That
 * is what the gradients are gradients of; they are compared with finite differences.
 */
interface Kind {
  readonly name: string
  readonly architecture: string
  readonly headSize: number
  readonly bias?: true
  readonly headNorms?: true
  readonly untied?: true
  readonly factors?: true
  readonly postNorms?: true
  readonly fused?: true
  readonly layers?: number
  readonly entries?: readonly GgufEntry[]
}

const KINDS: readonly Kind[] = [
  { name: 'llama', architecture: 'llama', headSize: 8 },
  {
    name: 'llama with an own head and scaled frequencies',
    architecture: 'llama',
    headSize: 8,
    untied: true,
    factors: true,
  },
  {
    name: 'llama with linearly scaled positions',
    architecture: 'llama',
    headSize: 8,
    entries: [
      { key: 'llama.rope.scaling.type', type: 'string', value: 'linear' },
      { key: 'llama.rope.scaling.factor', type: 'f32', value: 4 },
    ],
  },
  { name: 'qwen2', architecture: 'qwen2', headSize: 8, bias: true },
  { name: 'qwen3', architecture: 'qwen3', headSize: 16, headNorms: true, untied: true },
  { name: 'gemma', architecture: 'gemma', headSize: 16 },
  {
    name: 'gemma2, with a sliding window of 5 tokens and bounded logits',
    architecture: 'gemma2',
    headSize: 16,
    postNorms: true,
    entries: [
      { key: 'gemma2.attention.sliding_window', type: 'u32', value: 5 },
      { key: 'gemma2.attn_logit_softcapping', type: 'f32', value: 2 },
      { key: 'gemma2.final_logit_softcapping', type: 'f32', value: 3 },
    ],
  },
  {
    name: 'gemma3, with a sliding window of 5 tokens in five layers of six',
    architecture: 'gemma3',
    headSize: 16,
    postNorms: true,
    headNorms: true,
    layers: 7,
    entries: [
      { key: 'gemma3.attention.sliding_window', type: 'u32', value: 5 },
      { key: 'gemma3.rope.scaling.type', type: 'string', value: 'linear' },
      { key: 'gemma3.rope.scaling.factor', type: 'f32', value: 8 },
    ],
  },
  { name: 'phi3', architecture: 'phi3', headSize: 8, fused: true, untied: true },
  {
    name: 'phi3 that rotates a part of each head',
    architecture: 'phi3',
    headSize: 8,
    fused: true,
    untied: true,
    entries: [{ key: 'phi3.rope.dimension_count', type: 'u32', value: 4 }],
  },
]
const [LAYERS, WIDTH, HEADS, KEY_HEADS, HIDDEN, VOCABULARY] = [2, 32, 4, 2, 48, 2048]
const IDS = [9, 300, 41, 7, 1999, 512, 30, 30, 1024, 77, 5, 1500]
const folder = await mkdtemp(join(tmpdir(), 'ownkey-architectures-'))
after(() => rm(folder, { recursive: true, force: true }))

const random = uniform(3)
function tensor(name: string, columns: number, rows = 1): GgufTensor {
  const scale = rows === 1 ? 0.4 : 3 / Math.sqrt(columns)
  const middle = name.endsWith('norm.weight') ? 1 : 0
  return {
    name,
    shape: [columns, rows],
    data: new Float32Array(columns * rows).map(() => (random() - 0.5) * scale + middle),
  }
}

function layerOf(kind: Kind, at: string): GgufTensor[] {
  const [q, kv] = [kind.headSize * HEADS, kind.headSize * KEY_HEADS]
  return [
    tensor(`${at}.attn_norm.weight`, WIDTH),
    tensor(`${at}.ffn_norm.weight`, WIDTH),
    ...(kind.fused
      ? [tensor(`${at}.attn_qkv.weight`, WIDTH, q + 2 * kv), tensor(`${at}.ffn_up.weight`, WIDTH, 2 * HIDDEN)]
      : [
          tensor(`${at}.attn_q.weight`, WIDTH, q),
          tensor(`${at}.attn_k.weight`, WIDTH, kv),
          tensor(`${at}.attn_v.weight`, WIDTH, kv),
          tensor(`${at}.ffn_gate.weight`, WIDTH, HIDDEN),
          tensor(`${at}.ffn_up.weight`, WIDTH, HIDDEN),
        ]),
    tensor(`${at}.attn_output.weight`, q, WIDTH),
    ...(kind.postNorms ? ['attention', 'ffw'].map(name => tensor(`${at}.post_${name}_norm.weight`, WIDTH)) : []),
    tensor(`${at}.ffn_down.weight`, HIDDEN, WIDTH),
    ...(kind.bias
      ? [tensor(`${at}.attn_q.bias`, q), tensor(`${at}.attn_k.bias`, kv), tensor(`${at}.attn_v.bias`, kv)]
      : []),
    ...(kind.headNorms
      ? ['attn_q_norm', 'attn_k_norm'].map(name => tensor(`${at}.${name}.weight`, kind.headSize))
      : []),
  ]
}

async function modelOf(kind: Kind): Promise<string> {
  const embedded = openGguf(EMBEDDED_BASE.path)
  embedded.close()
  const kept = (key: string): GgufEntry => {
    const value = embedded.metadata.get(key)
    const type =
      typeof value === 'string' ? 'string' : Array.isArray(value) && typeof value[0] === 'string' ? 'strings' : 'i32s'
    return { key, type, value } as GgufEntry
  }
  const number = (key: string, value: number): GgufEntry => ({ key: `${kind.architecture}.${key}`, type: 'u32', value })
  const entries: GgufEntry[] = [
    { key: 'general.architecture', type: 'string', value: kind.architecture },
    number('context_length', 64),
    number('embedding_length', WIDTH),
    number('block_count', kind.layers ?? LAYERS),
    number('feed_forward_length', HIDDEN),
    number('attention.head_count', HEADS),
    number('attention.head_count_kv', KEY_HEADS),
    number('attention.key_length', kind.headSize),
    number('attention.value_length', kind.headSize),
    ...(kind.entries?.some(({ key }) => key.endsWith('dimension_count'))
      ? []
      : [number('rope.dimension_count', kind.headSize)]),
    { key: `${kind.architecture}.attention.layer_norm_rms_epsilon`, type: 'f32', value: 1e-5 },
    { key: `${kind.architecture}.rope.freq_base`, type: 'f32', value: 10_000 },
    ...(kind.entries ?? []),
    ...['model', 'pre', 'tokens', 'token_type', 'merges'].map(key => kept(`tokenizer.ggml.${key}`)),
  ]
  const tensors = [
    tensor('token_embd.weight', WIDTH, VOCABULARY),
    tensor('output_norm.weight', WIDTH),
    ...(kind.untied ? [tensor('output.weight', WIDTH, VOCABULARY)] : []),
    ...(kind.factors ? [{ ...tensor('rope_freqs.weight', kind.headSize / 2), data: Float32Array.of(1, 1, 2, 8) }] : []),
    ...Array.from({ length: kind.layers ?? LAYERS }, (_, index) => layerOf(kind, `blk.${index}`)).flat(),
  ]
  const path = join(folder, `${kind.name}.gguf`)
  await writeFile(path, encodeGguf(entries, tensors))
  return path
}

const BATCH: Batch = {
  ids: Int32Array.from([...IDS, ...Array.from({ length: 20 }, () => 0)]),
  rows: Int32Array.from(IDS.slice(1).keys()),
  targets: Int32Array.from(IDS.slice(1)),
  weights: new Float32Array(IDS.length - 1).fill(1 / (IDS.length - 1)),
}
const ggml = loadGgml(1)
/** llama.cpp otherwise rounds keys and values to F16. */
const KEPT = { experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32', flashAttention: false } as const
const llama = await openLlama(1)
after(() => llama.dispose())

/** The probability of each next token of `IDS`, by llama.cpp. */
async function byLlama(path: string, adapter?: string): Promise<number[]> {
  const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 })
  const lora = adapter === undefined ? {} : { lora: { adapters: [{ filePath: adapter }] } }
  const context = await model.createContext({ contextSize: 64, sequences: 1, threads: 1, ...KEPT, ...lora })
  const asked = IDS.slice(0, -1).map(
    id =>
      [id as Token, { generateNext: { probabilities: true, options: { temperature: 0, topK: 0 } } }] as [Token, object],
  )
  const found = await context.getSequence().controlledEvaluate(asked)
  const probabilities = found.map((result, at) => result?.next.probabilities?.get(IDS[at + 1] as Token) ?? Number.NaN)
  await context.dispose()
  await model.dispose()
  return probabilities
}

function graphOf(path: string, adapter: readonly GgufTensor[], turned = true) {
  const file = openGguf(path, ggml.dequantize)
  const [shape, base] = [llamaShape(file), llamaTensors(file)]
  const weights = placeWeights(ggml, base, adapter, { loraScale: 2, turned })
  file.close()
  const graph = buildStep(ggml, shape, weights, { length: 32, sequences: 1, rows: 64 }, adapter.length > 0)
  graph.allot(new StepMemory(ggml))
  return { shape, base, weights, graph }
}

/** @param within of the logarithm of a probability */
function agree(ours: Iterable<number>, theirs: readonly number[], within: number): void {
  for (const [at, probability] of [...ours].entries()) {
    const other = theirs[at] ?? Number.NaN
    assert.ok(Math.abs(Math.log(probability) - Math.log(other)) < within, `row ${at}: ${probability} against ${other}`)
  }
}

function trainedAdapter(base: readonly StoredTensor[]): ReturnType<typeof freshAdapter> {
  const adapter = freshAdapter(base, 4)
  for (const { name, data } of adapter.parameters)
    if (name.endsWith('lora_b')) for (const at of data.keys()) data[at] = random() - 0.5
  return adapter
}

for (const kind of KINDS) {
  test(`${kind.name}: the trainer computes what llama.cpp does, with and without an adapter`, async () => {
    const path = await modelOf(kind)
    const bare = graphOf(path, [])
    // llama.cpp looks gelu up in a table of F16.
    const within = kind.architecture.startsWith('gemma') ? 5e-3 : 1e-4
    agree((await bare.graph.run(BATCH)).probabilities, await byLlama(path), within)
    const adapter = trainedAdapter(bare.base)
    const own = graphOf(path, adapter.parameters)
    const file = join(folder, `${kind.name}.adapter.gguf`)
    await writeFile(file, encodeAdapter(adapter, own.shape.architecture))
    const { probabilities } = await own.graph.run(BATCH)
    agree(probabilities, await byLlama(path, file), within)
    await gradientsAgree(own, adapter)
    bare.graph.free()
    own.graph.free()
  })
}

for (const name of ['qwen3', 'gemma3', 'phi3'])
  test(`${name}: a step has room for as many layers as are taken, and a model with more is refused`, async () => {
    const kind = KINDS.find(({ architecture }) => architecture === name) as Kind
    const path = await modelOf({ ...kind, name: `deep ${name}`, layers: MOST_LAYERS })
    const bare = graphOf(path, [])
    const expected = [...(await bare.graph.run(BATCH)).probabilities]
    for (const turned of [true, false]) {
      const { graph } = graphOf(path, freshAdapter(bare.base, 4).parameters, turned)
      // Adapters are fresh, so they change nothing.
      agree((await graph.run(BATCH)).probabilities, expected, 1e-4)
      graph.free()
    }
    bare.graph.free()
    const deeper = openGguf(await modelOf({ ...kind, name: `deeper ${name}`, layers: MOST_LAYERS + 1 }))
    assert.throws(() => llamaShape(deeper), /it has 63 layers, and this trainer takes up to 62/)
    deeper.close()
  })

async function gradientsAgree(
  { graph, weights }: { readonly shape: LlamaShape } & Pick<ReturnType<typeof graphOf>, 'graph' | 'weights'>,
  adapter: ReturnType<typeof freshAdapter>,
): Promise<void> {
  const loss = async (): Promise<number> => {
    const { probabilities } = await graph.run(BATCH)
    return probabilities.reduce((sum, p, row) => sum - Math.log(p) * (BATCH.weights[row] as number), 0)
  }
  await loss()
  const gradients = adapter.parameters.map(({ name, data }) => {
    const gradient = new Float32Array(data.length)
    graph.gradient(name, gradient)
    return gradient
  })
  for (const [index, one] of adapter.parameters.entries()) {
    const direction = one.data.map(() => random() - 0.5)
    const size = 0.01 / Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0))
    const slope = direction.reduce((sum, value, at) => sum + value * (gradients[index]?.[at] ?? 0), 0)
    const moved = async (by: number): Promise<number> => {
      const data = one.data.map((value, at) => value + by * (direction[at] as number))
      upload(ggml, weights, { ...one, data })
      return loss()
    }
    const measured = ((await moved(size)) - (await moved(-size))) / (2 * size)
    await moved(0)
    const scale = Math.max(Math.abs(slope), Math.abs(measured), 0.02)
    assert.ok(Math.abs(slope - measured) / scale < 0.03, `${one.name}: ${slope} against ${measured}`)
  }
}
