/** Shorter ones would be found by chance. */
const MIN_BYTES = 16

/**
 * The texts by which bytes would show themselves in an answer, a log or a file: as they are, in hexadecimal, as a decimal number, as a list
 * of numbers, and in base64 of both alphabets, also when they stand within something longer that was encoded as a whole.
 */
export function secretForms(secret: Buffer): string[] {
  if (secret.length < MIN_BYTES) throw new Error(`A secret of ${secret.length} bytes is too short to search for.`)
  const hex = secret.toString('hex')
  const inBase64 = [0, 1, 2].flatMap(before => {
    const text = Buffer.concat([Buffer.alloc(before), secret, Buffer.alloc(3)]).toString('base64')
    // Only the characters that depend on nothing but the secret.
    const whole = text.slice(before === 0 ? 0 : 4, Math.floor((before + secret.length) / 3) * 4)
    return [whole, whole.replaceAll('+', '-').replaceAll('/', '_')]
  })
  const numbers = [...secret].join(',')
  return [
    ...new Set([secret.toString('latin1'), hex, hex.toUpperCase(), String(BigInt(`0x${hex}`)), numbers, ...inBase64]),
  ]
}

/** Searches texts in which each byte is one character (latin1). Names what it finds, never the secret. */
export class SecretSearch {
  readonly #forms: readonly { readonly name: string; readonly text: string }[]

  constructor(secrets: Readonly<Record<string, Buffer>>) {
    this.#forms = Object.entries(secrets).flatMap(([name, secret]) => secretForms(secret).map(text => ({ name, text })))
  }

  /** The names of the secrets that stand in the text. */
  in(text: string): string[] {
    return [...new Set(this.#forms.filter(form => text.includes(form.text)).map(({ name }) => name))]
  }
}
