import { needed, type Options, type Values } from './option.ts'

/** What a command is, for the parser, the help texts and the completions alike. */
export interface Declaration {
  /** One word, or two as in `audit verify`. */
  readonly name: string
  /** What it does, in at most 55 characters. */
  readonly summary: string
  /** What follows the name besides options, as the help text writes it. */
  readonly synopsis?: string
  /** How many words may follow the name; default none. */
  readonly mostWords?: number
  /** What the first of these words may be: one of these, or what a shell completes it with. */
  readonly words?: readonly string[] | 'file' | 'command'
  /** The first word is a program, and everything after it belongs to the program. */
  readonly runsProgram?: boolean
  /** More lines of its help text. */
  readonly notes?: readonly string[]
  /** Command lines without `./ownkey`. */
  readonly examples: readonly [string, ...string[]]
}

export interface Command extends Declaration {
  readonly options: Options
  /** Resolves to the exit code. @param values of `options`, checked */
  run(values: Readonly<Record<string, unknown>>, words: readonly string[]): Promise<number>
}

/** A command whose values have the types of its options. */
export function command<O extends Options>(
  declaration: Declaration & {
    readonly options: O
    run(values: Values<O>, words: readonly string[]): Promise<number>
  },
): Command {
  // The parser makes the values from these very options.
  return { ...declaration, run: (values, words) => declaration.run(values as Values<O>, words) }
}

/** The folder of a cloud, which most commands need. */
export const dataDir = needed('DIR', 'the folder of the cloud', { completes: 'folder' })
