import { Template } from '@huggingface/jinja'
import { callBorders, markAnswers, type CallBorders, type LaidOut } from './answer-spans.ts'
import type { ChatMessage, Conversation } from './engine.ts'
import { ConversationRefused, EngineFailure } from './failures.ts'
import { StandIns } from './stand-ins.ts'
import { templateInput, type TemplateForm, type TemplateInput, type TemplateMessage } from './template-input.ts'
import { plainConversation } from './tool-text.ts'
import { withinTime } from './time-limit.ts'

const MAX_SOURCE = 256 * 1024
const MAX_REASON = 200
/** A template is a program of its maker. Those of published models take milliseconds. */
const LIMIT_MS = 5000
/** Characters that it lays out. Contents are not among them. */
const MAX_LAID_OUT = 4 * 1024 * 1024
/** How long a layout is used again for messages of the same roles, as most examples of a file have. A template may tell the time. */
const REUSE_MS = 1000

const QUESTION: ChatMessage = { role: 'user', content: 'q' }
const ANSWER: ChatMessage = { role: 'assistant', content: 'a' }
const CALLS: ChatMessage = {
  role: 'assistant',
  content: '',
  toolCalls: [{ id: 'i', name: 'f', arguments: '{"k":"v"}' }],
}
const RESULT: ChatMessage = { role: 'tool', content: 'r', toolCallId: 'i' }

/** A conversation with tools that every template takes that knows tools. */
export const TOOL_PROBE: Conversation = {
  messages: [QUESTION, CALLS, RESULT, ANSWER, QUESTION],
  tools: [{ name: 'f', description: 'd', parameters: { type: 'object', properties: { p: { type: 'string' } } } }],
}

/**
 * The Jinja template of a model. It runs over stand-ins and never sees a text of a conversation, so none can change how the
 * conversation is laid out. Where it knows no tools, they are written as text (tool-text.ts).
 */
export class ChatTemplate {
  /** As its makers wrote it. */
  readonly source: string
  readonly #template: Template
  readonly #tokens: { readonly bos_token: string; readonly eos_token: string }
  #last = { key: '', text: '', until: -Infinity }
  readonly #form: TemplateForm
  /** The role of a tool's result where tools are written as text. */
  readonly #results: 'tool' | 'user'
  readonly #borders: CallBorders

  /** @throws EngineFailure for a template that can't be read, or that leaves contents out or changes them */
  constructor(source: string, { bos, eos }: { readonly bos: string; readonly eos: string }) {
    if (source.length > MAX_SOURCE) throw new EngineFailure('the chat template of the model is too long')
    this.source = source
    this.#tokens = { bos_token: bos, eos_token: eos }
    const plain = { knowsDeveloper: false }
    try {
      this.#template = withinTime(LIMIT_MS, () => new Template(source))
      if (!this.#showsAll({ messages: [QUESTION, ANSWER] }, plain)) throw new Error('it leaves out a message')
    } catch (error) {
      throw new EngineFailure(`the chat template of the model can't be used: ${reasonOf(error)}`, { cause: error })
    }
    const developer: Conversation = { messages: [{ role: 'developer', content: 'd' }, QUESTION] }
    const written = (['object', 'text'] as const).find(how =>
      orFalse(() => this.#showsAll(TOOL_PROBE, { ...plain, arguments: how })),
    )
    this.#form = {
      arguments: written,
      knowsDeveloper:
        source.includes('developer') && orFalse(() => this.#showsAll(developer, { knowsDeveloper: true })),
    }
    this.#results = written === undefined && orFalse(() => this.#writesTool()) ? 'tool' : 'user'
    this.#borders = this.#callBorders()
  }

  /** Whether the template itself writes tools, calls and results. */
  get knowsTools(): boolean {
    return this.#form.arguments !== undefined
  }

  /** @param open ends with the opening of an assistant message, for the model to go on. @throws ConversationRefused */
  layOut(conversation: Conversation, open: boolean): LaidOut[] {
    const laid = this.knowsTools ? conversation : { messages: plainConversation(conversation, this.#results) }
    const standIns = new StandIns()
    const pieces = standIns.split(this.#rendered(templateInput(laid, this.#form, standIns), open))
    for (const index of standIns.hidden) {
      const { role, toolCalls } = laid.messages[index ?? -1] ?? {}
      const where = `message ${(index ?? 0) + 1}`
      if (role === 'tool') throw ConversationRefused.by(`it leaves out the result in ${where}`)
      if (toolCalls !== undefined) throw ConversationRefused.by(`it takes either content or tool calls in ${where}`)
    }
    return markAnswers(pieces, laid.messages, this.#borders)
  }

  /** Templates without a system role get its text at the head of the first message, as their makers advise. */
  #rendered(input: TemplateInput, open: boolean): string {
    const { messages } = input
    const end = messages.findIndex(({ role }) => role !== 'system')
    const [head, first] = [messages.slice(0, Math.max(0, end)), messages[end]]
    try {
      return this.#render(input, open)
    } catch (error) {
      if (head.length === 0 || first === undefined) throw ConversationRefused.by(reasonOf(error))
      const system = { role: 'system', content: head.map(({ content }) => content).join('\n\n') }
      const rest = messages.slice(end)
      const others = head.length > 1 ? [[system, ...rest]] : []
      if (first.role === 'user') {
        others.push([{ role: 'user', content: `${system.content}\n\n${first.content}` }, ...rest.slice(1)])
      }
      return this.#renderedFirst(
        others.map(given => ({ ...input, messages: given })),
        open,
        error,
      )
    }
  }

  /** The first of the inputs that the template takes. */
  #renderedFirst(inputs: readonly TemplateInput[], open: boolean, error: unknown): string {
    let failure = error
    for (const input of inputs) {
      try {
        return this.#render(input, open)
      } catch (again) {
        failure = again
      }
    }
    throw ConversationRefused.by(reasonOf(failure))
  }

  #showsAll(conversation: Conversation, form: TemplateForm): boolean {
    const standIns = new StandIns()
    standIns.split(this.#render(templateInput(conversation, form, standIns), false))
    return standIns.hidden.size === 0
  }

  /** Whether a message's role `tool` is in what the template writes. */
  #writesTool(): boolean {
    const probe = { messages: [QUESTION, ANSWER, { role: 'tool', content: 'r' } as const, ANSWER] }
    const standIns = new StandIns()
    const pieces = standIns.split(this.#render(templateInput(probe, this.#form, standIns), false))
    const result = pieces.findIndex(({ message }) => message === 2)
    return pieces[result - 1]?.text.includes('tool') === true
  }

  #callBorders(): CallBorders {
    const of = (messages: readonly ChatMessage[], open = false): string =>
      this.#render(templateInput({ messages }, this.#form, new StandIns()), open)
    try {
      return callBorders({
        question: of([QUESTION]),
        open: of([QUESTION], true),
        answer: of([QUESTION, ANSWER]),
        calls: this.knowsTools ? of([QUESTION, CALLS]) : '',
        result: this.knowsTools ? of([QUESTION, CALLS, RESULT]) : '',
      })
    } catch {
      return { prompts: [], head: '', closing: '', next: '' }
    }
  }

  #render(input: TemplateInput & { readonly messages: readonly TemplateMessage[] }, open: boolean): string {
    const key = JSON.stringify([open, input])
    const { key: before, text: same, until } = this.#last
    if (key === before && performance.now() < until) return same
    const given = { ...input, add_generation_prompt: open, ...this.#tokens }
    const text = withinTime(LIMIT_MS, () => this.#template.render(given))
    if (text.length > MAX_LAID_OUT) throw new Error(`it lays out more than ${MAX_LAID_OUT} characters`)
    this.#last = { key, text, until: performance.now() + REUSE_MS }
    return text
  }
}

function orFalse(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

/** What the template says, which is its maker's text. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, MAX_REASON)
}
