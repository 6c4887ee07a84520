const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
const VALUES = new Map([...ALPHABET].map((letter, value) => [letter, value] as const))
// The other alphabet is read too.
VALUES.set(0x2b, 62).set(0x2f, 63)

/** Writes `bytes` as base64url, without padding, into `target`. A secret that is never a string can be overwritten. */
export function writeBase64Url(bytes: Uint8Array, target: Uint8Array): void {
  let [bits, held, at] = [0, 0, 0]
  const put = (value: number): void => void (target[at++] = ALPHABET[value & 63] as number)
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff
    held += 8
    for (; held >= 6; held -= 6) put(bits >> (held - 6))
  }
  if (held > 0) put(bits << (6 - held))
}

/** Reads base64url; undefined for other text. The caller wipes the result. */
export function readBase64Url(text: Uint8Array): Buffer | undefined {
  let end = text.length
  while (text[end - 1] === 0x3d) end -= 1
  const bytes = Buffer.from(new ArrayBuffer(Math.floor((end * 6) / 8)))
  let [bits, held, at] = [0, 0, 0]
  for (const letter of text.subarray(0, end)) {
    const value = VALUES.get(letter)
    if (value === undefined) return undefined
    bits = ((bits << 6) | value) & 0xffff
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[at++] = bits >> held
  }
  return bytes
}
