import { UsageError } from '../base/usage-error.ts'

/** One option of a command: how it is written, what it means, and how its text becomes a value. */
export interface Option<T> {
  /** What stands for the value in help texts; absent: a switch, which takes none. */
  readonly placeholder?: string
  /** For the help text, at most 50 characters. */
  readonly about: string
  readonly choices?: readonly string[]
  /** What a shell completes its value with. */
  readonly completes?: 'file' | 'folder'
  /** The help text only names it, unless it is asked for all. */
  readonly isRare?: boolean
  /** The command does not work without it. */
  readonly isNeeded?: boolean
  /** @param text undefined: not given. @throws UsageError when it is not a value of this option; `name` with its dashes */
  read(text: string | undefined, name: string): T
}

// oxlint-disable-next-line typescript/no-explicit-any -- a record of options of any values
export type Options = Readonly<Record<string, Option<any>>>

/** The values of a command's options. */
export type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never }

type Completes = Pick<Option<unknown>, 'completes'>

/** True when it is given. */
export function flag(about: string): Option<boolean> {
  return { about, read: text => text !== undefined }
}

export function text(placeholder: string, about: string, how: Completes = {}): Option<string | undefined> {
  return { placeholder, about, ...how, read: given => given }
}

/** An option that few need: the help text of the command names it, `--all` explains it. */
export function rarely<T>(option: Option<T>): Option<T> {
  return { ...option, isRare: true }
}

export function needed(placeholder: string, about: string, how: Completes = {}): Option<string> {
  return {
    placeholder,
    about,
    ...how,
    isNeeded: true,
    read(given, name) {
      if (given === undefined) throw new UsageError(`${name} ${placeholder} is missing.`)
      return given
    },
  }
}

export function withDefault(placeholder: string, about: string, value: string): Option<string> {
  return { placeholder, about: `${about} [${value}]`, read: given => given ?? value }
}

/** @param choices the first is the default */
export function oneOf<const C extends string>(choices: readonly [C, ...C[]], about: string): Option<C> {
  return {
    placeholder: choices.join('|'),
    about: `${about} [${choices[0]}]`,
    choices,
    read(given, name) {
      const found = choices.find(choice => choice === (given ?? choices[0]))
      if (found !== undefined) return found
      throw new UsageError(`${name} ${given} is not known here: use ${inWords(choices)}.`)
    },
  }
}

/** A whole number of at least 0, or `least`. */
export function wholeNumber(placeholder: string, about: string, range: Range): Option<number | undefined> {
  return {
    placeholder,
    about,
    read: (given, name) => (given === undefined ? undefined : numberOf(given, name, range)),
  }
}

export function wholeNumberOr(value: number, placeholder: string, about: string, range: Range): Option<number> {
  return {
    placeholder,
    about: `${about} [${value}]`,
    read: (given, name) => (given === undefined ? value : numberOf(given, name, range)),
  }
}

interface Range {
  readonly least?: number
  readonly most: number
}

function numberOf(given: string, name: string, { least = 0, most }: Range): number {
  const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`${name} ${given}: it must be a whole number from ${least} to ${most}.`)
}

export function inWords(names: readonly string[], link: 'or' | 'and' = 'or'): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} ${link} ${last}`
}
