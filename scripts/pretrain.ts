/**
 * Pretrains the embedded base model `ownkey-tiny-chat` from nothing: `nice node scripts/pretrain.ts`.
 * Same seed, same machine, same weights. Figures in models/README.md.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Parameter } from '../src/engines/adamw.ts'
import { ADAM, adamStep, parameter } from '../src/engines/adamw.ts'
import { chatTokens, type ChatLayout, type ChatTokens } from '../src/engines/chat-layout.ts'
import { CHAT_END, CHAT_START, CHAT_TEMPLATE } from '../src/engines/chatml.ts'
import type { Ggml } from '../src/engines/ggml.ts'
import { loadGgml } from '../src/engines/ggml.ts'
import type { GgufEntry } from '../src/engines/gguf.ts'
import { encodeGguf } from '../src/engines/gguf.ts'
import type { StepGraph } from '../src/engines/llama-graph.ts'
import type { LlamaShape } from '../src/engines/llama-model.ts'
import { buildStep } from '../src/engines/llama-graph.ts'
import { loadVocabulary } from '../src/engines/llama-vocabulary.ts'
import { placeWeights, upload } from '../src/engines/placed-weights.ts'
import { StepMemory } from '../src/engines/step-memory.ts'
import type { Random } from './pretrain-data.ts'
import { conversation, mathConversation, pick, seededRandom } from './pretrain-data.ts'
import { byteAlphabet, learnMerges } from './pretrain-tokenizer.ts'

const SEED = Number(process.env['PRETRAIN_SEED'] ?? 1)
const STEPS = Number(process.env['PRETRAIN_STEPS'] ?? 1800)
const MODELS = join(import.meta.dirname, '..', 'models')
const TARGET = process.env['PRETRAIN_TARGET'] ?? join(MODELS, 'ownkey-tiny-chat.gguf')
const TOKENS_PER_STEP = 1024
const PEAK_RATE = 3e-3
const SPECIALS = ['<|endoftext|>', CHAT_START, CHAT_END]

const SHAPE: LlamaShape = {
  architecture: 'llama',
  headSize: 32,
  layers: 4,
  width: 160,
  heads: 5,
  keyHeads: 5,
  hidden: 448,
  vocabulary: 2048,
  context: 1024,
  epsilon: 1e-5,
  ropeBase: 10_000,
  ropeMode: 0,
  ropeScale: 1,
  rotated: 32,
  embeddingScale: 1,
  activation: 'silu',
  attentionScale: 1 / Math.sqrt(32),
}

function vocabulary(math: readonly string[]): GgufEntry[] {
  const random = seededRandom(SEED)
  const texts = Array.from({ length: 20_000 }, () => conversation(random).map(message => message.content)).flat()
  for (const line of math) texts.push(...mathConversation(line, random).map(message => message.content))
  for (const role of ['system', 'user', 'assistant']) texts.push(...Array.from({ length: 1000 }, () => `${role}\n`))
  const merges = learnMerges(texts, SHAPE.vocabulary - 256 - SPECIALS.length)
  const tokens = [...SPECIALS, ...byteAlphabet(), ...merges.map(pair => pair.join(''))]
  return [
    { key: 'tokenizer.ggml.model', type: 'string', value: 'gpt2' },
    { key: 'tokenizer.ggml.pre', type: 'string', value: 'smollm' },
    { key: 'tokenizer.ggml.tokens', type: 'strings', value: tokens },
    { key: 'tokenizer.ggml.token_type', type: 'i32s', value: tokens.map((_, id) => (id < SPECIALS.length ? 3 : 1)) },
    { key: 'tokenizer.ggml.merges', type: 'strings', value: merges.map(pair => pair.join(' ')) },
    { key: 'tokenizer.ggml.bos_token_id', type: 'u32', value: 0 },
    { key: 'tokenizer.ggml.eos_token_id', type: 'u32', value: 2 },
    { key: 'tokenizer.ggml.padding_token_id', type: 'u32', value: 0 },
    { key: 'tokenizer.ggml.add_bos_token', type: 'bool', value: false },
    { key: 'tokenizer.chat_template', type: 'string', value: CHAT_TEMPLATE },
  ]
}

const header = (): GgufEntry[] => [
  { key: 'general.architecture', type: 'string', value: 'llama' },
  { key: 'general.name', type: 'string', value: 'ownkey-tiny-chat' },
  { key: 'general.license', type: 'string', value: 'mit' },
  { key: 'llama.context_length', type: 'u32', value: SHAPE.context },
  { key: 'llama.embedding_length', type: 'u32', value: SHAPE.width },
  { key: 'llama.block_count', type: 'u32', value: SHAPE.layers },
  { key: 'llama.feed_forward_length', type: 'u32', value: SHAPE.hidden },
  { key: 'llama.attention.head_count', type: 'u32', value: SHAPE.heads },
  { key: 'llama.attention.head_count_kv', type: 'u32', value: SHAPE.keyHeads },
  { key: 'llama.attention.layer_norm_rms_epsilon', type: 'f32', value: SHAPE.epsilon },
  { key: 'llama.rope.dimension_count', type: 'u32', value: SHAPE.width / SHAPE.heads },
  { key: 'llama.rope.freq_base', type: 'f32', value: SHAPE.ropeBase },
  { key: 'llama.vocab_size', type: 'u32', value: SHAPE.vocabulary },
]

function initialParameters(): Parameter[] {
  const random = seededRandom(SEED + 1)
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const matrix = (name: string, columns: number, rows: number, deviation: number): Parameter =>
    parameter(
      name,
      [columns, rows],
      new Float32Array(columns * rows).map(() => normal() * deviation),
    )
  const ones = (name: string): Parameter => parameter(name, [SHAPE.width, 1], new Float32Array(SHAPE.width).fill(1))
  const { width, hidden, layers } = SHAPE
  const [narrow, residual] = [1 / Math.sqrt(width), 1 / Math.sqrt(2 * layers)]
  const parameters = [matrix('token_embd.weight', width, SHAPE.vocabulary, 0.03), ones('output_norm.weight')]
  for (let layer = 0; layer < layers; layer += 1) {
    const name = (part: string): string => `blk.${layer}.${part}.weight`
    parameters.push(ones(name('attn_norm')), ones(name('ffn_norm')))
    for (const part of ['attn_q', 'attn_k', 'attn_v']) parameters.push(matrix(name(part), width, width, narrow))
    parameters.push(matrix(name('attn_output'), width, width, narrow * residual))
    for (const part of ['ffn_gate', 'ffn_up']) parameters.push(matrix(name(part), width, hidden, narrow))
    parameters.push(matrix(name('ffn_down'), hidden, width, residual / Math.sqrt(hidden)))
  }
  return parameters
}

/** Weight in the loss of text that the model only reads: questions and system prompts. */
const READ_WEIGHT = 0.25

/**
 * Most steps are short rows of generated conversations, some are longer and mixed with GSM8K, and some are one row of
 * the whole context, so that distant positions are trained from the start.
 */
function stepKind(step: number): { length: number; math: number } {
  if (step % 10 === 0) return { length: 1024, math: 0.15 }
  return step % 10 < 4 ? { length: 256, math: 0.4 } : { length: 128, math: 0 }
}

/** Endless rows of `length` tokens: whole conversations one after another, the rest padding. */
class Packer {
  readonly #random: Random
  readonly #math: readonly string[]
  readonly #layout: ChatLayout

  constructor(layout: ChatLayout, math: readonly string[], random: Random) {
    this.#layout = layout
    this.#math = math
    this.#random = random
  }

  row(length: number, math: number): ChatTokens {
    const row: ChatTokens = { ids: [], learn: [] }
    for (;;) {
      const problem = this.#random() < math
      const messages = problem
        ? mathConversation(pick(this.#random, this.#math), this.#random)
        : conversation(this.#random)
      const { ids, learn } = chatTokens(this.#layout, { messages }, false)
      if (row.ids.length + ids.length <= length) {
        row.ids.push(...ids)
        row.learn.push(...learn)
      } else if (row.ids.length > 0) return row
    }
  }
}

async function trainStep(
  graph: StepGraph,
  parameters: readonly Parameter[],
  packer: Packer,
  math: number,
): Promise<number> {
  const ids = new Int32Array(TOKENS_PER_STEP)
  const [rows, targets, weights]: [number[], number[], number[]] = [[], [], []]
  for (let sequence = 0; sequence < graph.sequences; sequence += 1) {
    const row = packer.row(graph.length, math)
    ids.set(row.ids, sequence * graph.length)
    for (let index = 1; index < row.ids.length; index += 1) {
      rows.push(sequence * graph.length + index - 1)
      targets.push(row.ids[index] as number)
      weights.push(row.learn[index] === true ? 1 : READ_WEIGHT)
    }
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const batch = {
    ids,
    rows: Int32Array.from(rows),
    targets: Int32Array.from(targets),
    weights: Float32Array.from(weights, weight => weight / total),
  }
  const { probabilities } = await graph.run(batch)
  for (const { name, gradient } of parameters) graph.gradient(name, gradient)
  return probabilities.reduce((sum, p, row) => sum - Math.log(Math.max(p, 1e-30)) * (batch.weights[row] as number), 0)
}

async function pretrain(ggml: Ggml, parameters: readonly Parameter[], packer: Packer): Promise<void> {
  const weights = placeWeights(ggml, [], parameters, { loraScale: 0, turned: false })
  const build = (length: number): StepGraph => {
    const sequences = TOKENS_PER_STEP / length
    const graph = buildStep(ggml, SHAPE, weights, { length, sequences, rows: TOKENS_PER_STEP }, true)
    graph.allot(new StepMemory(ggml))
    return graph
  }
  const graphs = new Map([128, 256, 1024].map(length => [length, build(length)]))
  const smooth = new Map<number, number>()
  const began = performance.now()
  for (let step = 1; step <= STEPS; step += 1) {
    const { length, math } = stepKind(step)
    const loss = await trainStep(graphs.get(length) as StepGraph, parameters, packer, math)
    const rate = PEAK_RATE * Math.min(step / 60, 0.04 + 0.48 * (1 + Math.cos((Math.PI * step) / STEPS)))
    adamStep(parameters, step, rate, { ...ADAM, beta2: 0.98, weightDecay: 0.1 })
    for (const tensor of parameters) upload(ggml, weights, tensor)
    smooth.set(length, 0.9 * (smooth.get(length) ?? loss) + 0.1 * loss)
    if (step % 50 === 0) {
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      const losses = [...smooth].map(([rows, value]) => `${rows}: ${value.toFixed(3)}`).join(', ')
      process.stdout.write(`step ${step}/${STEPS} loss by row length ${losses}; ${seconds} s\n`)
    }
  }
}

const math = readFileSync(join(MODELS, 'data', 'gsm8k-corpus.jsonl'), 'utf8')
  .split('\n')
  .filter(Boolean)
const parameters = initialParameters()
const entries = [...header(), ...vocabulary(math)]
const partial = `${TARGET}.partial`
const save = (): void => writeFileSync(partial, encodeGguf(entries, parameters))
save()
const { layout, dispose } = await loadVocabulary(partial)
process.stdout.write(`${parameters.reduce((sum, { data }) => sum + data.length, 0)} parameters\n`)
await pretrain(loadGgml(2), parameters, new Packer(layout, math, seededRandom(SEED + 2)))
save()
renameSync(partial, TARGET)
await dispose()
