/**
 * Pretrains the embedded base model `ownkey-tiny-chat` from nothing: `nice node scripts/pretrain.ts`.
 * Same seed, same machine, same weights. Figures in models/README.md.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Parameter } from '../src/engines/adamw.ts'
import { ADAM, adamStep, parameter } from '../src/engines/adamw.ts'
import type { Tokenizer } from '../src/engines/chatml.ts'
import { CHAT_END, CHAT_START, CHAT_TEMPLATE, chatTokens } from '../src/engines/chatml.ts'
import type { Ggml } from '../src/engines/ggml.ts'
import { loadGgml } from '../src/engines/ggml.ts'
import type { GgufEntry } from '../src/engines/gguf.ts'
import { encodeGguf } from '../src/engines/gguf.ts'
import type { LlamaShape, StepGraph } from '../src/engines/llama-graph.ts'
import { buildStep } from '../src/engines/llama-graph.ts'
import { loadVocabulary } from '../src/engines/llama-vocabulary.ts'
import { placeWeights, upload } from '../src/engines/placed-weights.ts'
import type { Random } from './pretrain-data.ts'
import { conversation, mathConversation, pick, seededRandom } from './pretrain-data.ts'
import { byteAlphabet, learnMerges } from './pretrain-tokenizer.ts'

const SEED = Number(process.env['PRETRAIN_SEED'] ?? 1)
const STEPS = Number(process.env['PRETRAIN_STEPS'] ?? 1500)
const LONG_STEPS = Math.round(STEPS / 15)
const MODELS = join(import.meta.dirname, '..', 'models')
const TARGET = process.env['PRETRAIN_TARGET'] ?? join(MODELS, 'ownkey-tiny-chat.gguf')
const TOKENS_PER_STEP = 1024
const PEAK_RATE = 3e-3
const SPECIALS = ['<|endoftext|>', CHAT_START, CHAT_END]

const SHAPE: LlamaShape = {
  layers: 4,
  width: 160,
  heads: 5,
  keyHeads: 5,
  hidden: 448,
  vocabulary: 2048,
  context: 1024,
  epsilon: 1e-5,
  ropeBase: 10_000,
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

/** Endless rows of `length` tokens: whole conversations one after another, the rest padding. */
class Packer {
  readonly #random: Random
  readonly #math: readonly string[]
  readonly #tokenizer: Tokenizer
  #waiting: number[] = []

  constructor(tokenizer: Tokenizer, math: readonly string[], random: Random) {
    this.#tokenizer = tokenizer
    this.#math = math
    this.#random = random
  }

  #document(): number[] {
    const messages =
      this.#random() < 0.75
        ? conversation(this.#random)
        : mathConversation(pick(this.#random, this.#math), this.#random)
    return chatTokens(this.#tokenizer, messages, false).ids
  }

  row(length: number): number[] {
    const row: number[] = []
    for (;;) {
      const next = this.#waiting.length > 0 ? this.#waiting : this.#document()
      this.#waiting = []
      if (row.length === 0 && next.length > length) continue
      if (row.length + next.length > length) {
        this.#waiting = next
        return row
      }
      row.push(...next)
    }
  }
}

async function trainStep(graph: StepGraph, parameters: readonly Parameter[], packer: Packer): Promise<number> {
  const ids = new Int32Array(TOKENS_PER_STEP)
  const [rows, targets]: [number[], number[]] = [[], []]
  for (let sequence = 0; sequence < graph.sequences; sequence += 1) {
    const row = packer.row(graph.length)
    ids.set(row, sequence * graph.length)
    for (let index = 1; index < row.length; index += 1) {
      rows.push(sequence * graph.length + index - 1)
      targets.push(row[index] as number)
    }
  }
  const weights = new Float32Array(rows.length).fill(1 / rows.length)
  const result = await graph.run({ ids, rows: Int32Array.from(rows), targets: Int32Array.from(targets), weights })
  for (const { name, gradient } of parameters) graph.gradient(name, gradient)
  return result.probabilities.reduce((sum, p) => sum - Math.log(Math.max(p, 1e-30)) / rows.length, 0)
}

async function pretrain(ggml: Ggml, parameters: readonly Parameter[], packer: Packer): Promise<void> {
  const weights = placeWeights(ggml, [], parameters, 0)
  const build = (length: number): StepGraph => {
    const sequences = TOKENS_PER_STEP / length
    return buildStep(ggml, SHAPE, weights, { length, sequences, rows: TOKENS_PER_STEP }, true)
  }
  let graph = build(256)
  let smooth = 0
  const began = performance.now()
  for (let step = 1; step <= STEPS; step += 1) {
    // The last steps are one long row each, so that positions beyond 256 are trained too.
    if (step === STEPS - LONG_STEPS) {
      graph.free()
      graph = build(1024)
    }
    const loss = await trainStep(graph, parameters, packer)
    const rate = PEAK_RATE * Math.min(step / 60, 0.04 + 0.48 * (1 + Math.cos((Math.PI * step) / STEPS)))
    adamStep(parameters, step, rate, { ...ADAM, beta2: 0.98, weightDecay: 0.1 })
    for (const tensor of parameters) upload(ggml, weights, tensor)
    smooth = step === 1 ? loss : 0.95 * smooth + 0.05 * loss
    if (step % 50 === 0 || step === 1) {
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      process.stdout.write(`step ${step}/${STEPS} loss ${smooth.toFixed(3)} ${seconds} s\n`)
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
const { tokenizer, dispose } = await loadVocabulary(partial)
process.stdout.write(`${parameters.reduce((sum, { data }) => sum + data.length, 0)} parameters\n`)
await pretrain(loadGgml(2), parameters, new Packer(tokenizer, math, seededRandom(SEED + 2)))
save()
renameSync(partial, TARGET)
await dispose()
