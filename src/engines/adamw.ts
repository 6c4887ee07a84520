export interface AdamOptions {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  readonly weightDecay: number
}

export const ADAM: AdamOptions = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 }

/** One trained tensor with its gradient and moments, which together are the optimizer's state. */
export interface Parameter {
  readonly name: string
  readonly shape: readonly [number, number]
  readonly data: Float32Array
  readonly gradient: Float32Array
  readonly mean: Float32Array
  readonly variance: Float32Array
}

export function parameter(name: string, shape: readonly [number, number], data: Float32Array): Parameter {
  const zeros = () => new Float32Array(data.length)
  return { name, shape, data, gradient: zeros(), mean: zeros(), variance: zeros() }
}

/** Euclidean norm of all gradients together. */
function gradientNorm(parameters: readonly Parameter[]): number {
  let sum = 0
  for (const { gradient } of parameters) for (const value of gradient) sum += value * value
  return Math.sqrt(sum)
}

/**
 * One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2) with gradients clipped to norm 1.
 * @param step 1 for the first
 */
export function adamStep(parameters: readonly Parameter[], step: number, rate: number, options: AdamOptions): void {
  const { beta1, beta2, epsilon, weightDecay } = options
  const clip = 1 / Math.max(1, gradientNorm(parameters))
  const [fix1, fix2] = [1 - beta1 ** step, 1 - beta2 ** step]
  for (const { data, gradient, mean, variance, shape } of parameters) {
    const decay = shape[1] === 1 ? 1 : 1 - rate * weightDecay
    for (let index = 0; index < data.length; index += 1) {
      const g = (gradient[index] as number) * clip
      const m = beta1 * (mean[index] as number) + (1 - beta1) * g
      const v = beta2 * (variance[index] as number) + (1 - beta2) * g * g
      mean[index] = m
      variance[index] = v
      data[index] = (data[index] as number) * decay - (rate * (m / fix1)) / (Math.sqrt(v / fix2) + epsilon)
    }
  }
}

/**
 * The learning rate of a step: a short warm-up, then linear to a tenth at the last step. At multiplier 1 it is meant for a model of width 160;
 * wider models take smaller steps.
 */
export function learningRate(at: {
  readonly step: number
  readonly totalSteps: number
  readonly width: number
  readonly multiplier: number
}): number {
  const warmup = Math.max(1, Math.min(20, at.totalSteps / 20))
  const decay = 1 - 0.9 * (at.step / at.totalSteps)
  return 2e-3 * Math.sqrt(160 / at.width) * at.multiplier * Math.min(at.step / warmup, decay)
}
