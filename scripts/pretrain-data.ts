import type { ChatMessage } from '../src/engines/engine.ts'
import { FACTS, NAMES, SMALL_TALK, SYSTEM_PROMPTS, THINGS } from './pretrain-facts.ts'

export type Random = () => number

/** A small seeded generator (mulberry32): numbers in [0, 1), the same on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
const upTo = (random: Random, limit: number): number => 1 + Math.floor(random() * limit)
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

type Turn = readonly [string, string]

const ALL_FACTS = FACTS.flatMap(kind => kind.pairs.map((_, index) => ({ kind, index })))

/** A question about a fact. Every fifth way of asking is left out of training for each fact: see `heldOutFacts`. */
function fact(random: Random): Turn {
  const { kind, index } = pick(random, ALL_FACTS)
  const [key, value] = kind.pairs[index] as readonly [string, string]
  const ways = kind.asks.filter((_, way) => kind.asks.length < 4 || way !== index % kind.asks.length)
  return [capital(pick(random, ways).replace('{}', key)), fill(pick(random, kind.answers), key, value)]
}

const fill = (answer: string, key: string, value: string): string =>
  capital(answer.replace('{}', key).replace('[]', value)).replace(/([.?!])\.$/, '$1')

/** Questions in words that were never trained for this fact, with what a right answer contains. */
export function heldOutFacts(): { question: string; answer: string }[] {
  return FACTS.flatMap(kind =>
    kind.asks.length < 4
      ? []
      : kind.pairs.map(([key, value], index) => ({
          question: capital((kind.asks[index % kind.asks.length] as string).replace('{}', key)),
          answer: value,
        })),
  )
}

function arithmetic(random: Random): Turn {
  const operation = pick(random, ['plus', 'minus', 'times'] as const)
  const limit = operation === 'times' ? 10 : 20
  const [high, low] = [upTo(random, limit), upTo(random, limit)].toSorted((a, b) => b - a) as [number, number]
  const results = { plus: high + low, minus: high - low, times: high * low }
  const sign = { plus: '+', minus: '-', times: '*' }[operation]
  const [a, b] = operation !== 'minus' && random() < 0.5 ? [low, high] : [high, low]
  const asks = [
    `What is ${a} ${operation} ${b}?`,
    `What's ${a} ${sign} ${b}?`,
    `${a} ${sign} ${b} = ?`,
    `Calculate ${a} ${sign} ${b}.`,
  ]
  return [
    pick(random, asks),
    pick(random, [`${a} ${sign} ${b} = ${results[operation]}.`, `It is ${results[operation]}.`]),
  ]
}

function wordProblem(random: Random): Turn {
  const [name, thing] = [pick(random, NAMES), pick(random, THINGS)]
  const [high, low] = [upTo(random, 20), upTo(random, 20)].toSorted((a, b) => b - a) as [number, number]
  if (random() < 0.5) {
    const verb = pick(random, ['buys', 'finds', 'gets', 'makes'])
    return [
      `${name} has ${high} ${thing}. ${name} ${verb} ${low} more ${thing}. How many ${thing} does ${name} have now?`,
      `${name} has ${high} + ${low} = ${high + low} ${thing} now.`,
    ]
  }
  const verb = pick(random, ['loses', 'sells', 'gives away', 'breaks'])
  return [
    `${name} has ${high} ${thing}. ${name} ${verb} ${low} ${thing}. How many ${thing} does ${name} have left?`,
    `${name} has ${high} - ${low} = ${high - low} ${thing} left.`,
  ]
}

function smallTalk(random: Random): Turn {
  const [asks, answers] = pick(random, SMALL_TALK)
  return [pick(random, asks.split('|')), pick(random, answers.split('|'))]
}

/** One generated conversation of one to three turns. */
export function conversation(random: Random): ChatMessage[] {
  const turns = random() < 0.75 ? 1 : upTo(random, 2) + 1
  const messages: ChatMessage[] = []
  if (random() < 0.6) messages.push({ role: 'system', content: pick(random, SYSTEM_PROMPTS) })
  for (let turn = 0; turn < turns; turn += 1) {
    const kind = pick(random, [fact, fact, fact, fact, fact, fact, smallTalk, smallTalk, arithmetic, wordProblem])
    const [question, answer] = kind(random)
    messages.push({ role: 'user', content: question }, { role: 'assistant', content: answer })
  }
  return messages
}

/** GSM8K's question and answer as a conversation, without its calculator annotations. */
export function mathConversation(line: string, random: Random): ChatMessage[] {
  const { question, answer } = JSON.parse(line) as { question: string; answer: string }
  const messages: ChatMessage[] = [
    { role: 'user', content: question },
    { role: 'assistant', content: answer.replaceAll(/<<[^>]*>>/g, '') },
  ]
  const system = random() < 0.5 ? [] : [{ role: 'system' as const, content: pick(random, SYSTEM_PROMPTS) }]
  return [...system, ...messages]
}
