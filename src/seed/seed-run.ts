import type { Path } from './lines.ts'
import type { SeedSecrets } from './seed-secrets.ts'
import { problemText, type Seed } from './seed-file.ts'
import { Refused, type SeedClient } from './seed-client.ts'

export type Effect = 'made' | 'changed' | 'same'

/** The result of a seed. */
export interface SeedReport {
  readonly made: number
  readonly changed: number
  readonly same: number
  /** What was made and changed, in order. */
  readonly lines: readonly string[]
  /** The file with the secrets that were made up, if there are any. */
  readonly secretsFile?: string
}

/** A part of the file, and its path in it. */
export interface Item<T> {
  readonly value: T
  readonly at: Path
}

export function itemsOf<T>(list: readonly T[], ...at: Path): Item<T>[] {
  return list.map((value, index) => ({ value, at: [...at, index] }))
}

/** One run over a seed file. It counts, and says where something failed. */
export class SeedRun {
  readonly client: SeedClient
  readonly secrets: SeedSecrets
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly #seed: Seed
  readonly #counts: Record<Effect, number> = { made: 0, changed: 0, same: 0 }
  readonly #done: string[] = []

  constructor(seed: Seed, given: Pick<SeedRun, 'client' | 'secrets' | 'environment'>) {
    this.#seed = seed
    this.client = given.client
    this.secrets = given.secrets
    this.environment = given.environment
  }

  /** Makes or changes one item. @throws with file, line, item and the cloud's own message */
  async item<T>(
    what: string,
    at: Path,
    work: (count: (effect: Effect, detail?: string) => void) => Promise<T>,
  ): Promise<T> {
    try {
      return await work((effect, detail) => {
        this.#counts[effect]++
        if (effect !== 'same')
          this.#done.push(`${effect.padEnd(7)} ${what}${detail === undefined ? '' : ` (${detail})`}`)
      })
    } catch (error) {
      const said =
        error instanceof Refused ? `${error.message} (${error.status} ${error.code})` : (error as Error).message
      const problem = problemText(this.#seed.lines, {
        path: at,
        message: `${what} failed: ${said}`,
      })
      throw new Error(
        `${problem}\nWhat comes before it was made and stays. Change the file, or the cloud (start without --seed), then start again.`,
        {
          cause: error,
        },
      )
    }
  }

  report(): Omit<SeedReport, 'secretsFile'> {
    return { ...this.#counts, lines: this.#done }
  }
}

/** Whether `shown` has everything that is wanted. What else it has does not matter. */
export function says(shown: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true
  if (Array.isArray(wanted))
    return (
      Array.isArray(shown) && shown.length === wanted.length && wanted.every((one, index) => says(shown[index], one))
    )
  if (typeof wanted !== 'object' || wanted === null) return shown === wanted
  if (typeof shown !== 'object' || shown === null) return false
  return Object.entries(wanted).every(([name, value]) => says((shown as Record<string, unknown>)[name], value))
}

/** The fields of `wanted` that `shown` lacks. */
export function differing<T extends object>(shown: unknown, wanted: T): Partial<T> {
  const at = (shown ?? {}) as Record<string, unknown>
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => !says(at[name], value))) as Partial<T>
}

/** @throws when something is to change that can't be changed */
export function checkFixed(shown: object, wanted: Readonly<Record<string, string | number | undefined>>): void {
  for (const [name, value] of Object.entries(wanted)) {
    const is = (shown as Record<string, unknown>)[name]
    if (value === undefined || plain(is) === plain(value)) continue
    throw new Error(`its ${name} is '${String(is)}' and can't be changed to '${value}'`)
  }
}

/** `West Europe` and `westeurope` are the same place. */
function plain(value: unknown): string {
  return String(value).toLowerCase().replaceAll(' ', '')
}
