import { EngineFailure } from './failures.ts'
import type { LlamaShape, Weights } from './llama-model.ts'
import type { Rope, Tape, Var } from './tape.ts'

/** What a pass reads besides the weights. */
export interface Inputs {
  readonly ids: Var
  readonly positions: Var
  readonly mask: Var
  /** Of layers with a sliding window that is shorter than the sequences. */
  readonly localMask?: Var
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

/** A layer's place: its tensors' prefix, and what it sees. */
interface Layer {
  readonly at: string
  readonly mask: Var
  readonly rope: Rope
}

function layerOf(shape: LlamaShape, weights: Weights, inputs: Inputs, index: number): Layer {
  const { window, rotated: dims, ropeMode: mode } = shape
  const at = `blk.${index}`
  if (window !== undefined && index % window.every < window.every - 1)
    return { at, mask: inputs.localMask ?? inputs.mask, rope: { dims, base: window.ropeBase, scale: 1, mode } }
  const factors = weights.tensors.get('rope_freqs.weight')
  return { at, mask: inputs.mask, rope: { dims, base: shape.ropeBase, scale: shape.ropeScale, mode, factors } }
}

/** Queries, keys and values of x, each [values, tokens]; Phi has one matrix for the three. */
function threeOf(tape: Tape, shape: LlamaShape, weights: Weights, at: string, x: Var): readonly [Var, Var, Var] {
  const [q, kv] = [shape.headSize * shape.heads, shape.headSize * shape.keyHeads]
  if (weights.tensors.has(`${at}.attn_qkv.weight`)) {
    return tape.split(linear(tape, weights, `${at}.attn_qkv`, x), [q, kv, kv]) as [Var, Var, Var]
  }
  return [
    linear(tape, weights, `${at}.attn_q`, x),
    linear(tape, weights, `${at}.attn_k`, x),
    linear(tape, weights, `${at}.attn_v`, x),
  ]
}

function attention(tape: Tape, shape: LlamaShape, weights: Weights, inputs: Inputs, layer: Layer, x: Var): Var {
  const head = shape.headSize
  const [length, batch] = [inputs.mask.shape[0], inputs.ids.shape[0] / inputs.mask.shape[0]]
  const placed = (name: string, flat: Var, heads: number): Var => {
    const wide = tape.reshape(flat, [head, heads, length * batch, 1])
    // Qwen 3 and Gemma 3 norm each head.
    const norm = weights.tensors.get(`${layer.at}.${name}_norm.weight`)
    const normed = norm === undefined ? wide : tape.norm(wide, norm, shape.epsilon)
    const turned = tape.reshape(tape.rope(normed, inputs.positions, layer.rope), [head, heads, length, batch])
    return tape.permute(turned, [0, 2, 1, 3])
  }
  const [flatQ, flatK, flatV] = threeOf(tape, shape, weights, layer.at, x)
  const [q, k] = [placed('attn_q', flatQ, shape.heads), placed('attn_k', flatK, shape.keyHeads)]
  const v = tape.permute(tape.reshape(flatV, [head, shape.keyHeads, length, batch]), [1, 2, 0, 3])
  const scores = tape.product(k, q)
  const { attentionScale: scale, attentionCap: cap } = shape
  const shares =
    cap === undefined
      ? tape.softmax(scores, layer.mask, scale)
      : tape.softmax(tape.cap(tape.scale(scores, scale), cap), layer.mask, 1)
  const mixed = tape.permute(tape.product(v, shares), [0, 2, 1, 3])
  const flat = tape.reshape(mixed, [head * shape.heads, length * batch, 1, 1])
  return linear(tape, weights, `${layer.at}.attn_output`, flat)
}

function feedForward(tape: Tape, shape: LlamaShape, weights: Weights, at: string, x: Var): Var {
  const [gate, up] = weights.tensors.has(`${at}.ffn_gate.weight`)
    ? [linear(tape, weights, `${at}.ffn_gate`, x), linear(tape, weights, `${at}.ffn_up`, x)]
    : (tape.split(linear(tape, weights, `${at}.ffn_up`, x), [shape.hidden, shape.hidden]) as [Var, Var])
  const active = shape.activation === 'gelu' ? tape.geglu(gate, up) : tape.swiglu(gate, up)
  return linear(tape, weights, `${at}.ffn_down`, active)
}

/** Logits [vocabulary, rows] of the rows that predict. */
export function logits(tape: Tape, shape: LlamaShape, weights: Weights, inputs: Inputs): Var {
  const norm = (x: Var, name: string): Var => tape.norm(x, weight(weights, `${name}.weight`), shape.epsilon)
  // Gemma 2 and 3 norm also what a layer adds.
  const maybe = (x: Var, name: string): Var => (weights.tensors.has(`${name}.weight`) ? norm(x, name) : x)
  let x = tape.rows(weight(weights, 'token_embd.weight'), inputs.ids)
  if (shape.embeddingScale !== 1) x = tape.scale(x, shape.embeddingScale)
  for (let index = 0; index < shape.layers; index += 1) {
    const layer = layerOf(shape, weights, inputs, index)
    const mixed = attention(tape, shape, weights, inputs, layer, norm(x, `${layer.at}.attn_norm`))
    x = tape.add(x, maybe(mixed, `${layer.at}.post_attention_norm`))
    const fed = feedForward(tape, shape, weights, layer.at, norm(x, `${layer.at}.ffn_norm`))
    x = tape.add(x, maybe(fed, `${layer.at}.post_ffw_norm`))
  }
  const last = norm(tape.rows(x, inputs.rows), 'output_norm')
  const head = weights.tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight'
  const output = times(tape, weights, head, last)
  return shape.outputCap === undefined ? output : tape.cap(output, shape.outputCap)
}
