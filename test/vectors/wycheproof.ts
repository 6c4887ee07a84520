import { readFileSync } from 'node:fs'

export interface VectorFile<Group> {
  numberOfTests: number
  testGroups: (Group & { type: string })[]
}

export interface Case {
  tcId: number
  comment: string
  flags: string[]
  result: 'valid' | 'invalid' | 'acceptable'
}

/** Reads one file of this folder. */
export function load<Group>(name: string): VectorFile<Group> {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8')) as VectorFile<Group>
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

/** The result of `attempt`, or undefined when it throws: whether a vector is accepted. */
export async function accepted<Result>(attempt: () => Result | Promise<Result>): Promise<Result | undefined> {
  try {
    return await attempt()
  } catch {
    return undefined
  }
}
