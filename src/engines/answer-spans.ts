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

/** What a template writes around the calls of an assistant message. Empty: not known. */
export interface CallBorders {
  /** Ends what is open for the assistant to go on. */
  readonly prompt: string
  /** All that stands between that and the first text of a call. */
  readonly head: string
  /** Stands behind the last call. */
  readonly closing: string
}

/** @param rendered of a question; of the same left open; with an answer; with calls; all with stand-ins */
export function callBorders(rendered: {
  readonly question: string
  readonly open: string
  readonly answer: string
  readonly calls: string
}): CallBorders {
  const { question, open, answer, calls } = rendered
  const prompt = open.startsWith(question) ? open.slice(question.length) : ''
  const called = calls.startsWith(open) ? calls.slice(open.length) : ''
  const head = called.slice(0, Math.max(0, called.indexOf('\uE000')))
  const tail = (text: string): string => text.slice(text.lastIndexOf('\uE001') + 1).replace('\u2002', '')
  return { prompt, head, closing: commonEnd(tail(answer), tail(calls)) }
}

function commonEnd(a: string, b: string): string {
  let length = 0
  while (length < Math.min(a.length, b.length) && a.at(-1 - length) === b.at(-1 - length)) length += 1
  return length === 0 ? '' : a.slice(-length)
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
function endOfCalls(text: string, { closing }: CallBorders): number {
  return closing === '' ? 0 : Math.max(0, text.indexOf(closing))
}

/** Where calls begin in the template's text before the first of them. */
function beginOfCalls(text: string, { prompt, head }: CallBorders): number {
  const at = prompt === '' ? -1 : text.lastIndexOf(prompt)
  if (at >= 0) return at + prompt.length
  return text.endsWith(head) ? text.length - head.length : text.length
}
