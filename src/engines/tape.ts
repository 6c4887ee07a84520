import type { Ggml, Pointer } from './ggml.ts'
import { BF16, F32 } from './ggml.ts'

export type Shape = readonly [number, number, number, number]

/** A tensor on the tape. `trains`: whether a gradient flows into it. */
export interface Var {
  readonly tensor: Pointer
  readonly shape: Shape
  readonly trains: boolean
  /** ggml's type of a weight, when it is another than F32. */
  readonly type?: number
}

export interface Rope {
  readonly dims: number
  readonly base: number
  readonly scale: number
  /** ggml's: 0 rotates neighbours (llama), 2 halves (NeoX). */
  readonly mode: number
  /** A divisor for each frequency [dims / 2], which Llama 3.1 has for long contexts. */
  readonly factors?: Var | undefined
}

/** Gradients go through weights of F32 in F32. Others have lost more than BF16 rounds off. */
export function turnedType(ggml: Ggml, type: number): number {
  return type === F32 || !ggml.multipliesBf16 ? F32 : BF16
}

/** Up to this many rows or columns, such as an adapter's, ggml_out_prod is faster than two transposed copies and a product. */
const SLIM = 64

/**
 * Reverse-mode differentiation over ggml operations: each method adds the operation and remembers its gradient rule.
 *
 * Why not ggml_build_backward_expand: it expresses the gradient of every product with ggml_out_prod, which is not
 * blocked on the CPU (and aborts for F16 weights); transposing and multiplying is several times faster. See docs/adr.
 */
export class Tape {
  readonly #ggml: Ggml
  readonly #ctx: Pointer
  readonly #rules: (() => void)[] = []
  readonly #gradients = new Map<Var, Pointer>()

  constructor(ggml: Ggml, ctx: Pointer) {
    this.#ggml = ggml
    this.#ctx = ctx
  }

  /** The derivative of the loss with respect to `x`, after `backward`. */
  gradient(x: Var): Pointer {
    return this.#gradients.get(x)
  }

  /** Starts from the derivative of the loss with respect to `output` and applies all rules in reverse. */
  backward(output: Var, derivative: Pointer): void {
    this.#gradients.set(output, derivative)
    for (const rule of this.#rules.toReversed()) rule()
  }

  #op(name: keyof Ggml['call'], ...args: unknown[]): Pointer {
    return this.#ggml.call[name](this.#ctx, ...args)
  }

  #record(tensor: Pointer, shape: Shape, inputs: readonly Var[], rule: (dy: Pointer) => void): Var {
    const result: Var = { tensor, shape, trains: inputs.some(input => input.trains) }
    if (result.trains) {
      this.#rules.push(() => {
        const dy = this.#gradients.get(result)
        if (dy !== undefined) rule(dy)
      })
    }
    return result
  }

  #flow(x: Var, gradient: () => Pointer): void {
    if (!x.trains) return
    const before = this.#gradients.get(x)
    this.#gradients.set(x, before === undefined ? gradient() : this.#op('ggml_add', before, gradient()))
  }

  #turned(tensor: Pointer): Pointer {
    return this.#op('ggml_cont', this.#op('ggml_transpose', tensor))
  }

  input(type: number, shape: Shape): Var {
    const tensor = this.#op('ggml_new_tensor_4d', type, ...shape)
    this.#ggml.call.ggml_set_input(tensor)
    return { tensor, shape, trains: false }
  }

  /** Rows of the matrix `a` [n, rows] at `ids` [count]: [n, count]. */
  rows(a: Var, ids: Var): Var {
    const tensor = this.#op('ggml_get_rows', a.tensor, ids.tensor)
    return this.#record(tensor, [a.shape[0], ids.shape[0], 1, 1], [a], dy =>
      this.#flow(a, () => this.#op('ggml_get_rows_back', dy, ids.tensor, a.tensor)),
    )
  }

  add(a: Var, b: Var): Var {
    return this.#record(this.#op('ggml_add', a.tensor, b.tensor), a.shape, [a, b], dy => {
      this.#flow(a, () => dy)
      this.#flow(b, () => dy)
    })
  }

  scale(a: Var, factor: number): Var {
    return this.#record(this.#op('ggml_scale', a.tensor, factor), a.shape, [a], dy =>
      this.#flow(a, () => this.#op('ggml_scale', dy, factor)),
    )
  }

  /** Root mean square norm of each column of x, times the weight [n]. */
  norm(x: Var, weight: Var, epsilon: number): Var {
    const normed = this.#op('ggml_rms_norm', x.tensor, epsilon)
    return this.#record(this.#op('ggml_mul', normed, weight.tensor), x.shape, [x, weight], dy => {
      this.#flow(x, () => this.#op('ggml_rms_norm_back', this.#op('ggml_mul', dy, weight.tensor), x.tensor, epsilon))
      this.#flow(weight, () => this.#op('ggml_repeat_back', this.#op('ggml_mul', dy, normed), weight.tensor))
    })
  }

  /** silu(gate) * up. */
  swiglu(gate: Var, up: Var): Var {
    const active = this.#op('ggml_silu', gate.tensor)
    return this.#record(this.#op('ggml_mul', active, up.tensor), gate.shape, [gate, up], dy => {
      this.#flow(gate, () => this.#op('ggml_silu_back', this.#op('ggml_mul', dy, up.tensor), gate.tensor))
      this.#flow(up, () => this.#op('ggml_mul', dy, active))
    })
  }

  /** gelu(gate) * up, with gelu(x) = x (1 + tanh(c x + c a x^3)) / 2 (Hendrycks and Gimpel, arXiv 1606.08415). */
  geglu(gate: Var, up: Var): Var {
    const g = gate.tensor
    const [c, a] = [Math.sqrt(2 / Math.PI), 0.044715]
    const square = this.#op('ggml_mul', g, g)
    const t = this.#op('ggml_tanh', this.#op('ggml_mul', g, this.#op('ggml_scale_bias', square, c * a, c)))
    const half = this.#op('ggml_scale_bias', t, 0.5, 0.5)
    const active = this.#op('ggml_mul', g, half)
    const slope = (): Pointer => {
      const bend = this.#op('ggml_scale_bias', this.#op('ggml_mul', t, t), -0.5, 0.5)
      const inner = this.#op('ggml_scale_bias', square, 3 * c * a, c)
      return this.#op('ggml_add', half, this.#op('ggml_mul', this.#op('ggml_mul', g, bend), inner))
    }
    return this.#record(this.#op('ggml_mul', active, up.tensor), gate.shape, [gate, up], dy => {
      this.#flow(gate, () => this.#op('ggml_mul', this.#op('ggml_mul', dy, up.tensor), slope()))
      this.#flow(up, () => this.#op('ggml_mul', dy, active))
    })
  }

  /** limit * tanh(x / limit). */
  cap(x: Var, limit: number): Var {
    const t = this.#op('ggml_tanh', this.#op('ggml_scale', x.tensor, 1 / limit))
    return this.#record(this.#op('ggml_scale', t, limit), x.shape, [x], dy =>
      this.#flow(x, () => this.#op('ggml_sub', dy, this.#op('ggml_mul', this.#op('ggml_mul', dy, t), t))),
    )
  }

  /** Cuts the rows of x [n, t] into parts of these lengths, which together are n. */
  split(x: Var, lengths: readonly number[]): Var[] {
    const [n, t] = x.shape
    const parts: Var[] = []
    // Recorded before its parts are used, so in reverse all of their gradients are there.
    if (x.trains) {
      this.#rules.push(() => {
        const gradients = parts.map(part => this.#gradients.get(part))
        this.#flow(x, () => gradients.reduce((all, next) => this.#op('ggml_concat', all, next, 0)))
      })
    }
    let from = 0
    for (const length of lengths) {
      const view = this.#op('ggml_view_2d', x.tensor, length, t, n * 4, from * 4)
      parts.push({ tensor: this.#op('ggml_cont', view), shape: [length, t, 1, 1], trains: x.trains })
      from += length
    }
    return parts
  }

  /**
   * ggml's product: a [k, m], b [k, n] give [m, n] = transposed(a) b, for each of the outer two dimensions. Where b has more of the third,
   * each of a's is used for several in a row (grouped-query attention).
   */
  product(a: Var, b: Var): Var {
    const shape: Shape = [a.shape[1], b.shape[1], b.shape[2], b.shape[3]]
    return this.#record(this.#op('ggml_mul_mat', a.tensor, b.tensor), shape, [a, b], dy => {
      this.#flow(b, () => this.#op('ggml_mul_mat', this.#turned(a.tensor), dy))
      this.#flow(a, () => this.#summed(this.#op('ggml_mul_mat', this.#turned(b.tensor), this.#turned(dy)), a, b))
    })
  }

  /** Adds up what the uses of each matrix of `a` brought. */
  #summed(all: Pointer, a: Var, b: Var): Pointer {
    const [k, m, some, outer] = a.shape
    if (b.shape[2] === some) return all
    const groups = this.#op('ggml_reshape_4d', all, k * m, b.shape[2] / some, some, outer)
    const one = this.#op('ggml_new_tensor_4d', F32, k * m, 1, some, outer)
    return this.#op('ggml_reshape_4d', this.#op('ggml_repeat_back', groups, one), ...a.shape)
  }

  /** A weight as F32, made anew for each use, so that its F32 form is in memory for that moment alone. */
  #f32({ tensor, type }: Var): Pointer {
    return type === undefined ? tensor : this.#op('ggml_cast', tensor, F32)
  }

  /**
   * A weight times the columns of b, in both directions with what is fastest for its kind.
   * @param turned a frozen `w`, transposed beforehand, so that no step has to do it
   */
  linear(w: Var, b: Var, turned?: Var): Var {
    const [k, m] = w.shape
    const shape: Shape = [m, b.shape[1], 1, 1]
    return this.#record(this.#op('ggml_mul_mat', this.#f32(w), b.tensor), shape, [w, b], dy => {
      this.#flow(b, () => this.#op('ggml_mul_mat', turned?.tensor ?? this.#turnedWeight(w), dy))
      this.#flow(w, () => this.#outer(b.tensor, dy, k, m))
    })
  }

  /** The sum of x [k, n] times y [m, n] over n: [k, m]. */
  #outer(x: Pointer, y: Pointer, k: number, m: number): Pointer {
    if (Math.min(k, m) > SLIM) return this.#op('ggml_mul_mat', this.#turned(x), this.#turned(y))
    // It adds up whole rows, so the longer side has to be in the rows.
    return k >= m ? this.#op('ggml_out_prod', x, y) : this.#turned(this.#op('ggml_out_prod', y, x))
  }

  #turnedWeight(w: Var): Pointer {
    const type = turnedType(this.#ggml, w.type ?? F32)
    if (type === F32) return this.#turned(this.#f32(w))
    return this.#op('ggml_cast', this.#op('ggml_transpose', this.#f32(w)), type)
  }

  rope(x: Var, positions: Var, rope: Rope): Var {
    const { factors, dims, mode, base, scale } = rope
    const rest = [positions.tensor, factors?.tensor ?? null, dims, mode, 0, base, scale, 0, 1, 32, 1]
    return this.#record(this.#op('ggml_rope_ext', x.tensor, ...rest), x.shape, [x], dy =>
      this.#flow(x, () => this.#op('ggml_rope_ext_back', dy, ...rest)),
    )
  }

  /** Softmax over the first dimension of scores * factor + mask. */
  softmax(scores: Var, mask: Var, factor: number): Var {
    const tensor = this.#op('ggml_soft_max_ext', scores.tensor, mask.tensor, factor, 0)
    return this.#record(tensor, scores.shape, [scores], dy =>
      this.#flow(scores, () => this.#op('ggml_soft_max_ext_back', dy, tensor, factor, 0)),
    )
  }

  reshape(x: Var, shape: Shape): Var {
    return this.#record(this.#op('ggml_reshape_4d', x.tensor, ...shape), shape, [x], dy =>
      this.#flow(x, () => this.#op('ggml_reshape_4d', dy, ...x.shape)),
    )
  }

  /** Source axis i becomes axis `axes[i]` (ggml's convention); the result is contiguous. */
  permute(x: Var, axes: Shape): Var {
    const shape: [number, number, number, number] = [1, 1, 1, 1]
    const inverse: [number, number, number, number] = [0, 0, 0, 0]
    for (const [from, to] of axes.entries()) {
      shape[to] = x.shape[from] as number
      inverse[to] = from
    }
    const move = (tensor: Pointer, order: Shape) => this.#op('ggml_cont', this.#op('ggml_permute', tensor, ...order))
    return this.#record(move(x.tensor, axes), shape, [x], dy => this.#flow(x, () => move(dy, inverse)))
  }

  /**
   * Cross entropy of each column of `logits` [v, r] against one target.
   * @param targets flat positions r * v + label, I32 [r]; @param weights of the rows, F32 [1, r]
   */
  crossEntropy(logits: Var, targets: Var, weights: Var): { probability: Pointer; best: Pointer; derivative: Pointer } {
    const [v, r] = logits.shape
    const p = this.#op('ggml_soft_max', logits.tensor)
    const probability = this.#op('ggml_get_rows', this.#op('ggml_reshape_4d', p, 1, v * r, 1, 1), targets.tensor)
    const best = this.#op('ggml_argmax', logits.tensor)
    // d loss / d logits = (softmax - onehot) * weight, without ever building the one-hot matrix.
    const flat = this.#op('ggml_reshape_4d', this.#op('ggml_mul', p, weights.tensor), 1, v * r, 1, 1)
    const hit = this.#op('ggml_sub', this.#op('ggml_get_rows', flat, targets.tensor), weights.tensor)
    const all = this.#op('ggml_set_rows', flat, hit, targets.tensor)
    return { probability, best, derivative: this.#op('ggml_reshape_4d', all, v, r, 1, 1) }
  }
}
