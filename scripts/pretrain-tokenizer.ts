/** Splits text as llama.cpp's pre-tokenizer "smollm" does: digits alone, then GPT-2's pattern. */
const PIECES = /\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/** GPT-2's printable stand-ins for the 256 bytes. */
export function byteAlphabet(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
}

/** Learns a byte-level BPE. The result depends on the texts alone. */
export function learnMerges(texts: Iterable<string>, count: number): [string, string][] {
  const alphabet = byteAlphabet()
  const counts = new Map<string, number>()
  for (const text of texts) for (const [piece] of text.matchAll(PIECES)) counts.set(piece, (counts.get(piece) ?? 0) + 1)
  const words = [...counts]
    .filter(([, times]) => times > 1)
    .map(([piece, times]) => ({ parts: [...Buffer.from(piece)].map(byte => alphabet[byte] as string), times }))
  const merges: [string, string][] = []
  while (merges.length < count) {
    const best = mostFrequentPair(words)
    if (best === undefined) break
    merges.push(best)
    for (const word of words) merge(word.parts, best)
  }
  return merges
}

function mostFrequentPair(words: readonly { parts: string[]; times: number }[]): [string, string] | undefined {
  const pairs = new Map<string, number>()
  for (const { parts, times } of words) {
    for (let index = 1; index < parts.length; index += 1) {
      const pair = `${parts[index - 1] as string} ${parts[index] as string}`
      pairs.set(pair, (pairs.get(pair) ?? 0) + times)
    }
  }
  let best: string | undefined
  let most = 1
  for (const [pair, times] of pairs) {
    if (times > most || (times === most && best !== undefined && pair < best)) [best, most] = [pair, times]
  }
  return best?.split(' ') as [string, string] | undefined
}

function merge(parts: string[], [left, right]: readonly [string, string]): void {
  for (let index = 1; index < parts.length; index += 1) {
    if (parts[index - 1] === left && parts[index] === right) parts.splice(index - 1, 2, left + right)
  }
}
