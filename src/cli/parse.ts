import { parseArgs } from 'node:util'
import { UsageError } from '../base/usage-error.ts'
import type { Command } from './command.ts'
import { inWords, type Option } from './option.ts'
import { nearest } from './suggest.ts'

/** What a command line asks for. */
export interface Parsed {
  readonly command: Command
  readonly asks: 'run' | 'help'
  readonly values: Readonly<Record<string, unknown>>
  readonly words: readonly string[]
}

const HELP = new Set(['h', 'help'])
const VERSION = new Set(['V', 'version'])
/** First words that stand for a command. */
const ALIASES: Readonly<Record<string, string>> = {
  '-h': 'help',
  '--help': 'help',
  '-V': 'version',
  '--version': 'version',
}

/** Finds the command and reads its options. @throws UsageError about the first thing that does not fit */
export function parse(args: readonly string[], commands: readonly Command[]): Parsed {
  const [given = 'help', ...rest] = args
  const first = ALIASES[given] ?? given
  const family = commands.filter(({ name }) => name.split(' ', 1)[0] === first)
  if (family.length === 0) throw noCommand(first, commands)
  const own = optionsBefore(rest, family)
  const tokens = tokensOf(rest.slice(0, own), family)
  const words = tokens.flatMap(token => (token.kind === 'positional' ? [token.value] : []))
  const longer = family.find(({ name }) => name === `${first} ${words[0]}`)
  const command = longer ?? byName(first, commands)
  if (longer !== undefined) words.shift()
  if (hasOption(tokens, HELP)) return { command, asks: 'help', values: {}, words: [] }
  if (hasOption(tokens, VERSION)) return { command: byName('version', commands), asks: 'run', values: {}, words: [] }
  try {
    const texts = textsOf(tokens, { command, commands, args: rest })
    checkWords(words, command, commands)
    const values = Object.entries(command.options).map(([name, option]) => [
      name,
      option.read(texts.get(name), `--${name}`),
    ])
    return { command, asks: 'run', values: Object.fromEntries(values), words: [...words, ...rest.slice(own)] }
  } catch (error) {
    if (error instanceof UsageError) error.command ??= command.name
    throw error
  }
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number]

/** Options of one name take a value in every command of the family, or in none, so they can be read before the command is known. */
function tokensOf(args: string[], family: readonly Command[]): Token[] {
  const options = Object.fromEntries(
    family.flatMap(command =>
      Object.entries(command.options).map(([name, { placeholder }]) => [
        name,
        { type: placeholder === undefined ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
  )
  return parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true }).tokens
}

/** How many arguments are for OwnKey: all, or those before the program that the command runs. */
function optionsBefore(args: string[], family: readonly Command[]): number {
  if (!family.some(({ runsProgram }) => runsProgram)) return args.length
  return tokensOf(args, family).find(({ kind }) => kind === 'positional')?.index ?? args.length
}

function hasOption(tokens: readonly Token[], names: ReadonlySet<string>): boolean {
  return tokens.some(token => token.kind === 'option' && names.has(token.name))
}

interface Context {
  readonly command: Command
  readonly commands: readonly Command[]
  readonly args: readonly string[]
}

/** The text of each option that was given; a switch has an empty one. */
function textsOf(tokens: readonly Token[], context: Context): Map<string, string> {
  const texts = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const option = context.command.options[token.name]
    if (option === undefined || !token.rawName.startsWith('--'))
      throw noOption(context, context.args[token.index] ?? '')
    const text = textOf(token, option)
    if (option.placeholder !== undefined && texts.has(token.name))
      throw new UsageError(`--${token.name} is given twice: ${texts.get(token.name)} and ${text}.`)
    texts.set(token.name, text)
  }
  return texts
}

function textOf({ name, value, inlineValue }: Extract<Token, { kind: 'option' }>, option: Option<unknown>): string {
  const { placeholder } = option
  if (placeholder === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value.`)
    return ''
  }
  if (value === undefined) throw new UsageError(`--${name} ${placeholder}: the value is missing.`)
  if (value === '') throw new UsageError(`--${name} ${placeholder}: the value is empty.`)
  if (!inlineValue && /^-(?!\d|$)/.test(value))
    throw new UsageError(`--${name} ${placeholder}: the value is missing, ${value} comes next.`)
  return value
}

function checkWords(
  given: readonly string[],
  { name, words, mostWords = 0 }: Command,
  commands: readonly Command[],
): void {
  const [first] = given
  const spare = given[mostWords]
  if (first !== undefined && Array.isArray(words) && !words.includes(first)) {
    const meant = nearest(first, words)
    throw new UsageError(
      `There is no '${name} ${first}'${meant === undefined ? `: use ${inWords(words)}.` : `. Did you mean '${name} ${meant}'?`}`,
    )
  }
  if (spare === undefined) return
  const isFamily = commands.some(other => other.name.startsWith(`${name} `))
  throw isFamily
    ? noCommand(`${name} ${spare}`, commands)
    : new UsageError(`'${name}' does not know what '${spare}' is.`)
}

/** The refusal of an unknown command, with the one that was probably meant. */
export function noCommand(name: string, commands: readonly Command[]): UsageError {
  if (name.startsWith('-')) {
    const alias = nearest(name, Object.keys(ALIASES))
    return new UsageError(
      alias === undefined
        ? `The command comes first, then its options such as ${name}.`
        : `There is no option ${name} without a command. Did you mean ${alias}?`,
    )
  }
  const meant = nearest(
    name,
    commands.map(one => one.name),
  )
  return new UsageError(`There is no command '${name}'.${meant === undefined ? '' : ` Did you mean '${meant}'?`}`)
}

function noOption({ command, commands }: Context, written: string): UsageError {
  const [asked = ''] = written.split('=', 1)
  const bare = asked.replace(/^-+/, '')
  const others = commands.filter(({ options }) => Object.hasOwn(options, bare)).map(({ name }) => `'${name}'`)
  const meant = nearest(bare, Object.keys(command.options))
  if (meant !== undefined) return new UsageError(`'${command.name}' has no option ${asked}. Did you mean --${meant}?`)
  const where =
    others.length === 0 ? '' : ` It belongs to ${others.length > 3 ? 'other commands' : inWords(others, 'and')}.`
  return new UsageError(`'${command.name}' has no option ${asked}.${where}`)
}

function byName(name: string, commands: readonly Command[]): Command {
  const found = commands.find(one => one.name === name)
  if (found === undefined) throw noCommand(name, commands)
  return found
}
