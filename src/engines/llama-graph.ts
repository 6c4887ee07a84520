import { logits, type Inputs } from './forward.ts'
import type { Ggml, Pointer } from './ggml.ts'
import { F32, I32 } from './ggml.ts'
import type { LlamaShape, Weights } from './llama-model.ts'
import { bytesFor, type StepMemory } from './step-memory.ts'
import type { Var } from './tape.ts'
import { Tape } from './tape.ts'

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

/** Tensors of both passes, which are the nodes of their graph: at most 240 for each layer, measured on Gemma 3. */
const [NODES, NODES_OF_LAYER] = [1024, 320]

function stepInputs(tape: Tape, shape: LlamaShape, { length, sequences, rows }: StepSize): Inputs {
  const tokens = length * sequences
  return {
    ids: tape.input(I32, [tokens, 1, 1, 1]),
    positions: tape.input(I32, [tokens, 1, 1, 1]),
    mask: tape.input(F32, [length, length, 1, 1]),
    ...(shape.window === undefined || shape.window.tokens >= length
      ? {}
      : { localMask: tape.input(F32, [length, length, 1, 1]) }),
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
  const nodes = NODES + NODES_OF_LAYER * shape.layers
  const ctx = ggml.context(nodes, nodes)
  const tape = new Tape(ggml, ctx)
  const inputs: Inputs = stepInputs(tape, shape, { length, sequences, rows })
  const output = logits(tape, shape, weights, inputs)
  const loss = tape.crossEntropy(output, inputs.targets, inputs.weights)
  const graph = call.ggml_new_graph_custom(ctx, nodes, false)
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
  const localMask = causalMask(length, shape.window?.tokens)
  const run = async (batch: Batch): Promise<StepResult> => {
    const set = (input: Var, data: Int32Array | Float32Array): unknown =>
      call.ggml_backend_tensor_set(input.tensor, data, 0, data.byteLength)
    set(inputs.positions, positions)
    set(inputs.mask, mask)
    if (inputs.localMask !== undefined) set(inputs.localMask, localMask)
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

/** 0 where a query sees a token, its own or up to `window` - 1 before it. */
function causalMask(length: number, window = length): Float32Array {
  const mask = new Float32Array(length * length)
  for (let query = 0; query < length; query += 1) {
    const row = mask.subarray(query * length, (query + 1) * length)
    row.fill(-Infinity, query + 1)
    row.fill(-Infinity, 0, Math.max(0, query + 1 - window))
  }
  return mask
}
