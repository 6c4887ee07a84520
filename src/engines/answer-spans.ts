import type { ChatMessage } from './engine.ts'
import type { Piece } from './stand-ins.ts'

/** A part of a conversation as its model reads it. */
export interface LaidOut {
  readonly text: string
  /** It is of the conversation; otherwise the template's own text. */
  readonly isGiven: boolean
  /** The assistant message that it is of: its content, or all that the template writes of its calls. */
  readonly answer?: ChatMessage | undefined
}

/** What a template writes around the calls of an assistant message. */
export interface CallBorders {
  /** One of these stands before a call. The longest, which comes first, is all that is open for the assistant to go on. */
  readonly prompts: readonly string[]
  /** All that stands between what is open and the first text of a call. */
  readonly head: string
  /** Stands behind the last call; empty: not known. */
  readonly closing: string
  /** Where nothing closes calls, begins what follows them. */
  readonly next: string
}

/** @param rendered of a question; of the same left open; with an answer, calls, or calls and a result behind it; with stand-ins */
export function callBorders(rendered: {
  readonly question: string
  readonly open: string
  readonly answer: string
  readonly calls: string
  readonly result: string
}): CallBorders {
  const { question, open, answer, calls, result } = rendered
  const prompt = open.startsWith(question) ? open.slice(question.length) : ''
  const called = calls.startsWith(open) ? calls.slice(open.length) : ''
  const closing = answer.slice(answer.lastIndexOf('\uE001') + 1).replace('\u2002', '')
  const behind = result.startsWith(calls) ? result.slice(calls.length) : ''
  return {
    prompts: beginningsOf(prompt).filter(beginning => !question.includes(beginning)),
    head: called.slice(0, Math.max(0, called.indexOf('\uE000'))),
    closing: calls.endsWith(closing) ? closing : '',
    next: behind.slice(0, Math.max(0, behind.search(/[\u2002\uE000]/))),
  }
}

/** Beginnings that end where a line or a mark does, the longest first: a model that thinks may have a mark for it in its prompt alone. */
function beginningsOf(prompt: string): string[] {
  const ends = Array.from(prompt, (letter, at) => ('\n>]'.includes(letter) ? at + 1 : 0)).filter(end => end > 0)
  return [...new Set([prompt, ...ends.toReversed().map(end => prompt.slice(0, end))])].filter(text => text !== '')
}

/** Marks what is an assistant message's own, which for calls is more than the texts of the conversation. */
export function markAnswers(
  pieces: readonly Piece[],
  messages: readonly ChatMessage[],
  borders: CallBorders,
): LaidOut[] {
  const answerOf = (piece: Piece | undefined): ChatMessage | undefined => {
    const message = piece?.message === undefined ? undefined : messages[piece.message]
    return message?.role === 'assistant' ? message : undefined
  }
  return pieces.flatMap((piece, at): LaidOut[] => {
    const { text, isGiven } = piece
    if (isGiven) return [{ text, isGiven, answer: answerOf(piece) }]
    const [before, after] = [pieces[at - 1], pieces[at + 1]]
    const [left, right] = [answerOf(before), answerOf(after)].map(answer => answer?.toolCalls && answer)
    if (left !== undefined && before?.message === after?.message) return [{ text, isGiven, answer: left }]
    const end = left === undefined ? 0 : endOfCalls(text, borders)
    const begin = right === undefined ? text.length : Math.max(end, beginOfCalls(text, borders))
    return [
      { text: text.slice(0, end), isGiven, answer: left },
      { text: text.slice(end, begin), isGiven },
      { text: text.slice(begin), isGiven, answer: right },
    ].filter(part => part.text !== '')
  })
}

/** Where calls end in the template's text behind the last of them. */
function endOfCalls(text: string, { closing, next }: CallBorders): number {
  if (closing !== '') return Math.max(0, text.indexOf(closing))
  const at = next === '' ? 0 : text.indexOf(next)
  return at < 0 ? text.length : at
}

/** Where calls begin in the template's text before the first of them. */
function beginOfCalls(text: string, { prompts, head }: CallBorders): number {
  for (const prompt of prompts) {
    const at = text.lastIndexOf(prompt)
    if (at >= 0) return at + prompt.length
  }
  return text.endsWith(head) ? text.length - head.length : text.length
}
