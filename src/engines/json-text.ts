/** JSON values whose numbers keep the digits that they were written with. */
export type Json = null | boolean | number | string | RawNumber | readonly Json[] | { readonly [key: string]: Json }

/** A number that JavaScript would write in another way: 1.0, or one of twenty digits. */
export class RawNumber {
  readonly digits: string

  constructor(digits: string) {
    this.digits = digits
  }
}

type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown

/** Parses JSON and keeps how its numbers are written. @throws SyntaxError */
export function parseJson(text: string): Json {
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && source !== String(value) ? new RawNumber(source) : value,
  ) as Json
}

/** @throws SyntaxError unless it is an object */
export function parseObject(text: string): { readonly [key: string]: Json } {
  const value = parseJson(text)
  if (!isJsonObject(value)) throw new SyntaxError('not a JSON object')
  return value
}

export function isJsonObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawNumber)
}

/** JSON with a blank behind each comma and colon, the form in which most models have read it. */
export function writeJson(value: Json): string {
  if (value instanceof RawNumber) return value.digits
  if (Array.isArray(value)) return `[${value.map(item => writeJson(item as Json)).join(', ')}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${writeJson(item)}`)
    .join(', ')}}`
}

/** Deepest nesting of brackets and braces, and how many commas and colons, outside of strings; found without recursion. */
export function shapeOf(text: string, mostDepth: number): { readonly depth: number; readonly values: number } {
  let [depth, deepest, values, quoted] = [0, 0, 0, false]
  for (let index = 0; index < text.length && deepest <= mostDepth; index += 1) {
    const code = text.charCodeAt(index)
    if (quoted) {
      if (code === 92) index += 1
      else if (code === 34) quoted = false
    } else if (code === 34) quoted = true
    else if (code === 91 || code === 123) {
      depth += 1
      deepest = Math.max(deepest, depth)
    } else if (code === 93 || code === 125) depth -= 1
    else if (code === 44 || code === 58) values += 1
  }
  return { depth: deepest, values }
}
