/** How tensors of a ggml type lie in a file, and what makes F32 of them (ggml.h, ggml-common.h of the pinned llama.cpp). */
export interface GgmlType {
  readonly name: string
  readonly blockBytes: number
  /** Values of a block. */
  readonly blockValues: number
  /** ggml's function `(const block *x, float *y, int64_t k)`; absent where the values are read here. */
  readonly dequantize?: `dequantize_row_${string}`
}

/** By type number. */
export const GGML_TYPES: Readonly<Record<number, GgmlType>> = {
  0: { name: 'F32', blockBytes: 4, blockValues: 1 },
  1: { name: 'F16', blockBytes: 2, blockValues: 1 },
  2: quantised('Q4_0', 18, 32),
  3: quantised('Q4_1', 20, 32),
  6: quantised('Q5_0', 22, 32),
  7: quantised('Q5_1', 24, 32),
  8: { name: 'Q8_0', blockBytes: 34, blockValues: 32 },
  10: quantised('Q2_K', 84, 256),
  11: quantised('Q3_K', 110, 256),
  12: quantised('Q4_K', 144, 256),
  13: quantised('Q5_K', 176, 256),
  14: quantised('Q6_K', 210, 256),
  20: quantised('IQ4_NL', 18, 32),
  23: quantised('IQ4_XS', 136, 256),
  30: { name: 'BF16', blockBytes: 2, blockValues: 1 },
}

function quantised(name: string, blockBytes: number, blockValues: number): GgmlType {
  const [, family = '', rest = ''] = /^([A-Z]+)(.*)$/.exec(name) ?? []
  return { name, blockBytes, blockValues, dequantize: `dequantize_row_${family.toLowerCase()}${lowerUnlessK(rest)}` }
}

/** ggml writes the K of k-quants in upper case, and other names in lower case. */
function lowerUnlessK(text: string): string {
  return text.endsWith('_K') ? text : text.toLowerCase()
}
