import { Template } from '@huggingface/jinja'
import type { ChatMessage } from './engine.ts'
import { ConversationRefused, EngineFailure } from './failures.ts'
import { withinTime } from './time-limit.ts'

/** A part of a conversation as its model reads it. */
export interface LaidOut {
  readonly text: string
  /** The message whose content it is; absent: text of the template itself. */
  readonly message?: ChatMessage
}

/** Stands for the content of a message while the template runs. No filter of a template changes it, and no text of a user is in it. */
const standIn = (index: number): string => `\uE000${index}\uE001`
const STAND_IN = /\uE000(\d+)\uE001/g
const MAX_SOURCE = 256 * 1024
const MAX_REASON = 200
/** A template is a program of its maker. Those of published models take milliseconds. */
const LIMIT_MS = 5000
/** Characters that it lays out. Contents are not among them. */
const MAX_LAID_OUT = 4 * 1024 * 1024
/** How long a layout is used again for messages of the same roles, as most examples of a file have. A template may tell the time. */
const REUSE_MS = 1000

/**
 * The Jinja template of a model. It runs over stand-ins and never sees a message's content, so no content can change how a
 * conversation is laid out.
 */
export class ChatTemplate {
  readonly #template: Template
  readonly #tokens: { readonly bos_token: string; readonly eos_token: string }
  #last = { key: '', text: '', until: -Infinity }
  /** Whether it trims contents, as many templates do. */
  readonly #trims: boolean

  /** @throws EngineFailure for a template that can't be read, or that leaves contents out or changes them */
  constructor(source: string, { bos, eos }: { readonly bos: string; readonly eos: string }) {
    if (source.length > MAX_SOURCE) throw new EngineFailure('the chat template of the model is too long')
    this.#tokens = { bos_token: bos, eos_token: eos }
    try {
      this.#template = withinTime(LIMIT_MS, () => new Template(source))
      const probe = [
        { role: 'user', content: ` ${standIn(0)} ` },
        { role: 'assistant', content: ` ${standIn(1)} ` },
      ]
      const shown = this.#render(probe, false)
      if (!probe.every((_, index) => shown.includes(standIn(index)))) throw new Error('it leaves out a message')
      this.#trims = !shown.includes(` ${standIn(0)} `)
    } catch (error) {
      throw new EngineFailure(`the chat template of the model can't be used: ${reasonOf(error)}`, { cause: error })
    }
  }

  /** @param open ends with the opening of an assistant message, for the model to go on. @throws ConversationRefused */
  layOut(messages: readonly ChatMessage[], open: boolean): LaidOut[] {
    const named = messages.map(({ role, content }, index) => ({ role, content: content === '' ? '' : standIn(index) }))
    const text = this.#rendered(named, open)
    const parts = text.split(STAND_IN)
    // `split` puts each captured index between the texts around it.
    return parts.flatMap((part, at): LaidOut[] => {
      if (at % 2 === 0) return part === '' ? [] : [{ text: part }]
      const message = messages[Number(part)]
      if (message === undefined) return []
      return [{ text: this.#trims ? message.content.trim() : message.content, message }]
    })
  }

  /** Templates without a system role get its text at the head of the first message, as their makers advise. */
  #rendered(named: readonly { role: string; content: string }[], open: boolean): string {
    try {
      return this.#render(named, open)
    } catch (error) {
      const [first, second, ...rest] = named
      if (first?.role !== 'system' || second?.role !== 'user') throw ConversationRefused.by(reasonOf(error))
      const merged = { role: 'user', content: `${first.content}\n\n${second.content}` }
      try {
        return this.#render([merged, ...rest], open)
      } catch (again) {
        throw ConversationRefused.by(reasonOf(again))
      }
    }
  }

  #render(messages: readonly object[], open: boolean): string {
    const key = JSON.stringify([open, messages])
    const { key: before, text: same, until } = this.#last
    if (key === before && performance.now() < until) return same
    const given = { messages, add_generation_prompt: open, ...this.#tokens }
    const text = withinTime(LIMIT_MS, () => this.#template.render(given))
    if (text.length > MAX_LAID_OUT) throw new Error(`it lays out more than ${MAX_LAID_OUT} characters`)
    this.#last = { key, text, until: performance.now() + REUSE_MS }
    return text
  }
}

/** What the template says, which is its maker's text. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, MAX_REASON)
}
