import type { Ggml, Pointer } from './ggml.ts'
import { F32 } from './ggml.ts'

export type Shape = readonly [number, number, number, number]

/** A tensor on the tape. `trains`: whether a gradient flows into it. */
export interface Var {
  readonly tensor: Pointer
  readonly shape: Shape
  readonly trains: boolean
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

  /**
   * ggml's product: a [k, m], b [k, n] give [m, n] = transposed(a) b, for each of the outer two dimensions.
   * @param turned a frozen `a`, transposed beforehand, so that no step has to do it
   */
  product(a: Var, b: Var, turned?: Var): Var {
    const shape: Shape = [a.shape[1], b.shape[1], b.shape[2], b.shape[3]]
    return this.#record(this.#op('ggml_mul_mat', a.tensor, b.tensor), shape, [a, b], dy => {
      this.#flow(b, () => this.#op('ggml_mul_mat', turned?.tensor ?? this.#turned(a.tensor), dy))
      this.#flow(a, () => this.#op('ggml_mul_mat', this.#turned(b.tensor), this.#turned(dy)))
    })
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

  /** Repeats each head of x [n, t, heads, b] `times` times in a row (grouped-query attention). */
  repeatHeads(x: Var, times: number): Var {
    if (times === 1) return x
    const [n, t, heads, b] = x.shape
    const flat = this.reshape(x, [n * t, 1, heads, b])
    const like = this.#op('ggml_new_tensor_4d', F32, n * t, times, heads, b)
    const wide = this.#record(this.#op('ggml_repeat', flat.tensor, like), [n * t, times, heads, b], [flat], dy =>
      this.#flow(flat, () => this.#op('ggml_repeat_back', dy, flat.tensor)),
    )
    return this.reshape(wide, [n, t, heads * times, b])
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
