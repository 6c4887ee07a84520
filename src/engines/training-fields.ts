import type { FindingCode } from './engine.ts'

/** `code|what is wrong`, for a person, never with the content. */
export type Problem = `${FindingCode}|${string}`

export type Fields = Readonly<Record<string, unknown>>

/** Official clients write `null` for what is not there. */
export const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null

export const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A field that the format does not have, such as a mistyped one, would be dropped without a word. Empty ones say nothing. */
export function unknownField(value: Fields, known: readonly string[], where: string): Problem | undefined {
  const extra = Object.entries(value).some(
    ([key, field]) => !known.includes(key) && !isAbsent(field) && !(Array.isArray(field) && field.length === 0),
  )
  return extra ? `unknown_field|${where} a field besides ${known.join(', ')}: remove it` : undefined
}

/** OpenAI's rule for names of functions. */
export const isFunctionName = (value: unknown): value is string =>
  typeof value === 'string' && /^[a-zA-Z0-9_-]{1,64}$/.test(value)

export const NAME_RULE = 'of 1 to 64 letters, digits, underscores and dashes'
