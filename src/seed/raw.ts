import type { Path } from './lines.ts'

/** A part of the file before it is checked. */
export interface Raw {
  readonly at: Path
  readonly value: Readonly<Record<string, unknown>>
}

/** The entries of a list that have fields. The schema reports the others. */
export function rawList({ at, value }: Raw, name: string): Raw[] {
  const list = value[name]
  if (!Array.isArray(list)) return []
  return list.flatMap((entry: unknown, index) => (isFields(entry) ? [{ at: [...at, name, index], value: entry }] : []))
}

export function rawField({ at, value }: Raw, name: string): Raw | undefined {
  const found = value[name]
  return isFields(found) ? { at: [...at, name], value: found } : undefined
}

export function rawText({ value }: Raw, name: string): string | undefined {
  const found = value[name]
  return typeof found === 'string' ? found : undefined
}

export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
