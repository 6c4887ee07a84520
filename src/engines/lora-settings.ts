import { z } from 'zod'

/** The matrices of a layer that can be adapted, as GGUF names them. Phi has one, `attn_qkv`, for the first three. */
export const TARGETS = [
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_qkv',
  'attn_output',
  'ffn_gate',
  'ffn_up',
  'ffn_down',
] as const

/** The shape of new adapters: W x + (alpha / rank) B A x (Hu et al., arXiv 2106.09685). */
export interface LoraSettings {
  readonly rank: number
  readonly alpha: number
  readonly targets: readonly (typeof TARGETS)[number][]
}

export const LORA: LoraSettings = { rank: 8, alpha: 16, targets: TARGETS }

/** `training` of a base in models.yaml; alpha is twice the rank unless it is given. */
export const loraSettings = z.strictObject({
  rank: z.int().min(1).max(256).optional(),
  alpha: z.number().positive().max(10_000).optional(),
  targets: z.array(z.enum(TARGETS)).min(1).max(TARGETS.length).optional(),
})

/** With what was not given. */
export function loraOf(given: z.infer<typeof loraSettings>): LoraSettings {
  const rank = given.rank ?? LORA.rank
  return { rank, alpha: given.alpha ?? 2 * rank, targets: given.targets ?? TARGETS }
}
