import { EngineFailure } from './failures.ts'
import type { Ggml, Pointer } from './ggml.ts'
import { F32, I32 } from './ggml.ts'
import { bytesFor, type StepMemory } from './step-memory.ts'
import type { Var } from './tape.ts'
import { Tape } from './tape.ts'

/** The dimensions of a Llama-type model, as its GGUF names them. */
export interface LlamaShape {
  /** `general.architecture` of its adapters too. */
  readonly architecture: string
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly keyHeads: number
  readonly hidden: number
  readonly vocabulary: number
  readonly context: number
  readonly epsilon: number
  /** Values of a head; heads together may be wider than the model. */
  readonly headSize: number
  readonly ropeBase: number
  readonly ropeMode: number
  readonly ropeScale: number
}

/** Tensors in memory by GGUF name, in the type that their file has. */
export interface Weights {
  readonly tensors: ReadonlyMap<string, Var>
  /** Transposed copies of frozen matrices, where memory allows them. */
  readonly turned: ReadonlyMap<string, Var>
  /** LoRA: scale of B A x. */
  readonly loraScale: number
}

export interface Batch {
  /** `sequences` times `length` token ids. Shorter sequences are padded. */
  readonly ids: Int32Array
  /** Positions in `ids` whose next token is predicted. */
  readonly rows: Int32Array
  /** The token that follows each of `rows`. */
  readonly targets: Int32Array
  /** Weight of each of `rows` in the loss. */
  readonly weights: Float32Array
}

export interface StepResult {
  /** Probability of each target. */
  readonly probabilities: Float32Array
  /** Most likely token at each row. */
  readonly best: Int32Array
}

/** Sequences of `length` tokens, with at most `rows` predictions. */
export interface StepSize {
  readonly length: number
  readonly sequences: number
  readonly rows: number
}

/** Forward and backward pass for one shape of batch. */
export interface StepGraph extends StepSize {
  /** Bytes of memory that it computes in. */
  bytes(): number
  /** To be called once, before the first run. @throws EngineFailure when memory does not suffice */
  allot(memory: StepMemory): void
  /** Runs it. Rows that the batch lacks get weight 0. */
  run(batch: Batch): Promise<StepResult>
  /** Copies the gradient of a trained tensor after `run`. */
  gradient(name: string, into: Float32Array): void
  free(): void
}

const NODES = 8192

interface Inputs {
  readonly ids: Var
  readonly positions: Var
  readonly mask: Var
  readonly rows: Var
  readonly targets: Var
  readonly weights: Var
}

function weight(weights: Weights, name: string): Var {
  const found = weights.tensors.get(name)
  if (found === undefined) throw new EngineFailure(`the base model has no tensor ${name}`)
  return found
}

/** W x, plus a bias where the base has one, and scale * B (A x) where the adapter has a pair for W. */
function linear(tape: Tape, weights: Weights, name: string, x: Var): Var {
  const product = times(tape, weights, `${name}.weight`, x)
  const bias = weights.tensors.get(`${name}.bias`)
  const straight = bias === undefined ? product : tape.add(product, bias)
  const a = weights.tensors.get(`${name}.weight.lora_a`)
  const b = weights.tensors.get(`${name}.weight.lora_b`)
  if (a === undefined || b === undefined) return straight
  return tape.add(straight, tape.linear(b, tape.scale(tape.linear(a, x), weights.loraScale)))
}

function times(tape: Tape, weights: Weights, name: string, x: Var): Var {
  return tape.linear(weight(weights, name), x, weights.turned.get(name))
}

function attention(tape: Tape, shape: LlamaShape, weights: Weights, inputs: Inputs, layer: string, x: Var): Var {
  const head = shape.headSize
  const [length, batch] = [inputs.mask.shape[0], inputs.ids.shape[0] / inputs.mask.shape[0]]
  const factors = weights.tensors.get('rope_freqs.weight')
  const rope = { dims: head, base: shape.ropeBase, scale: shape.ropeScale, mode: shape.ropeMode, factors }
  const turned = (name: string, heads: number): Var => {
    const wide = tape.reshape(linear(tape, weights, `${layer}.${name}`, x), [head, heads, length * batch, 1])
    // Qwen 3 norms each head.
    const norm = weights.tensors.get(`${layer}.${name}_norm.weight`)
    const flat = norm === undefined ? wide : tape.norm(wide, norm, shape.epsilon)
    const placed = tape.reshape(tape.rope(flat, inputs.positions, rope), [head, heads, length, batch])
    return tape.permute(placed, [0, 2, 1, 3])
  }
  const q = turned('attn_q', shape.heads)
  const k = turned('attn_k', shape.keyHeads)
  const flat = tape.reshape(linear(tape, weights, `${layer}.attn_v`, x), [head, shape.keyHeads, length, batch])
  const v = tape.permute(flat, [1, 2, 0, 3])
  const scores = tape.softmax(tape.product(k, q), inputs.mask, 1 / Math.sqrt(head))
  const mixed = tape.permute(tape.product(v, scores), [0, 2, 1, 3])
  return linear(tape, weights, `${layer}.attn_output`, tape.reshape(mixed, [head * shape.heads, length * batch, 1, 1]))
}

function logits(tape: Tape, shape: LlamaShape, weights: Weights, inputs: Inputs): Var {
  let x = tape.rows(weight(weights, 'token_embd.weight'), inputs.ids)
  for (let index = 0; index < shape.layers; index += 1) {
    const layer = `blk.${index}`
    const normed = tape.norm(x, weight(weights, `${layer}.attn_norm.weight`), shape.epsilon)
    x = tape.add(x, attention(tape, shape, weights, inputs, layer, normed))
    const inner = tape.norm(x, weight(weights, `${layer}.ffn_norm.weight`), shape.epsilon)
    const gate = linear(tape, weights, `${layer}.ffn_gate`, inner)
    const active = tape.swiglu(gate, linear(tape, weights, `${layer}.ffn_up`, inner))
    x = tape.add(x, linear(tape, weights, `${layer}.ffn_down`, active))
  }
  const last = tape.norm(tape.rows(x, inputs.rows), weight(weights, 'output_norm.weight'), shape.epsilon)
  const head = weights.tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight'
  return times(tape, weights, head, last)
}

function stepInputs(tape: Tape, length: number, tokens: number, rows: number): Inputs {
  return {
    ids: tape.input(I32, [tokens, 1, 1, 1]),
    positions: tape.input(I32, [tokens, 1, 1, 1]),
    mask: tape.input(F32, [length, length, 1, 1]),
    rows: tape.input(I32, [rows, 1, 1, 1]),
    targets: tape.input(I32, [rows, 1, 1, 1]),
    weights: tape.input(F32, [1, rows, 1, 1]),
  }
}

/** Builds forward and backward pass for batches of `sequences` times `length` tokens and at most `rows` predictions. */
export function buildStep(
  ggml: Ggml,
  shape: LlamaShape,
  weights: Weights,
  { length, sequences, rows }: StepSize,
  training: boolean,
): StepGraph {
  const { call } = ggml
  const ctx = ggml.context(NODES, NODES)
  const tape = new Tape(ggml, ctx)
  const inputs: Inputs = stepInputs(tape, length, length * sequences, rows)
  const output = logits(tape, shape, weights, inputs)
  const loss = tape.crossEntropy(output, inputs.targets, inputs.weights)
  const graph = call.ggml_new_graph_custom(ctx, NODES, false)
  const keep = (tensor: Pointer) => {
    call.ggml_set_output(tensor)
    call.ggml_build_forward_expand(graph, tensor)
  }
  keep(loss.probability)
  keep(loss.best)
  const gradients = new Map<string, Pointer>()
  if (training) {
    tape.backward(output, loss.derivative)
    for (const [name, tensor] of weights.tensors) if (tensor.trains) gradients.set(name, tape.gradient(tensor))
    gradients.forEach(keep)
  }
  const positions = Int32Array.from({ length: length * sequences }, (_, index) => index % length)
  const mask = causalMask(length)
  const run = async (batch: Batch): Promise<StepResult> => {
    const set = (input: Var, data: Int32Array | Float32Array): unknown =>
      call.ggml_backend_tensor_set(input.tensor, data, 0, data.byteLength)
    set(inputs.positions, positions)
    set(inputs.mask, mask)
    set(inputs.ids, batch.ids)
    set(inputs.rows, padded(new Int32Array(rows), batch.rows))
    // Without a backward pass nothing reads the weights, so ggml does not allocate them.
    if (training) set(inputs.weights, padded(new Float32Array(rows), batch.weights))
    set(inputs.targets, flatTargets(batch, rows, shape.vocabulary))
    await ggml.compute(graph)
    const probabilities = new Float32Array(batch.rows.length)
    const best = new Int32Array(batch.rows.length)
    call.ggml_backend_tensor_get(loss.probability, probabilities, 0, probabilities.byteLength)
    call.ggml_backend_tensor_get(loss.best, best, 0, best.byteLength)
    return { probabilities, best }
  }
  const gradient = (name: string, into: Float32Array): void => {
    call.ggml_backend_tensor_get(gradients.get(name), into, 0, into.byteLength)
  }
  const free = (): void => void call.ggml_free(ctx)
  const allot = (memory: StepMemory): void => memory.allot(graph)
  return { length, sequences, rows, bytes: () => bytesFor(ggml, graph), allot, run, gradient, free }
}

/** The position of each row's target in the flattened [vocabulary, rows]. Missing rows point at token 0. */
const flatTargets = (batch: Batch, rows: number, vocabulary: number): Int32Array =>
  Int32Array.from({ length: rows }, (_, row) => row * vocabulary + (batch.targets[row] ?? 0))

function padded<T extends Int32Array | Float32Array>(into: T, from: T): T {
  into.set(from)
  return into
}

function causalMask(length: number): Float32Array {
  const mask = new Float32Array(length * length)
  for (let query = 0; query < length; query += 1) {
    mask.fill(-Infinity, query * length + query + 1, (query + 1) * length)
  }
  return mask
}
