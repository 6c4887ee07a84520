import type { ChatTemplate } from './chat-template.ts'
import type { ChatMessage, Conversation } from './engine.ts'

/** Turns text into token ids. Text and control tokens are separate, so that a message can't forge a role. */
export interface Tokenizer {
  /** Ordinary text. It never gives a control token. */
  text(text: string): readonly number[]
  /** Text of a template in its parts: control tokens with their ids, and the ordinary text between them. */
  split(text: string): readonly { readonly text: string; readonly id?: number | undefined }[]
}

/** How conversations are laid out for one model. Training and serving both use it. */
export interface ChatLayout {
  readonly template: Pick<ChatTemplate, 'layOut'>
  readonly tokenizer: Tokenizer
  /** The token with which every text begins, where the model wants one. */
  readonly bos?: number | undefined
}

export interface ChatTokens {
  readonly ids: number[]
  /** For each token, whether training learns to produce it. */
  readonly learn: boolean[]
}

/**
 * Lays out a conversation.
 * @param open ends with the opening of an assistant message, for the model to go on @throws ConversationRefused
 */
export function chatTokens(
  { template, tokenizer, bos }: ChatLayout,
  conversation: Conversation,
  open: boolean,
): ChatTokens {
  const run = new Run(tokenizer)
  let isLearning = false
  for (const { text, isGiven, answer } of template.layOut(conversation, open)) {
    if (isGiven || answer !== undefined) isLearning = isLearned(answer)
    // No control token comes of a text of the conversation.
    for (const piece of isGiven ? [{ text }] : tokenizer.split(text)) {
      if (piece.id === undefined) run.add(piece.text, isLearning)
      else {
        run.control(piece.id, isLearning)
        // Calls may have control tokens in them. Otherwise the token that ends an answer is learned with it, and nothing after it.
        if (answer === undefined) isLearning = false
      }
    }
  }
  const { ids, learn } = run.end()
  if (bos !== undefined && ids[0] !== bos) {
    ids.unshift(bos)
    learn.unshift(false)
  }
  return { ids, learn }
}

const isLearned = (answer: ChatMessage | undefined): boolean => answer !== undefined && answer.weight !== 0

/** The control tokens that end an answer of the model, by its template. */
export function answerEnds(layout: ChatLayout): readonly number[] {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ] as const
  const { ids, learn } = chatTokens(layout, { messages }, false)
  const last = learn.lastIndexOf(true)
  const token = ids[last]
  return token === undefined || layout.tokenizer.text('b').includes(token) ? [] : [token]
}

/** Tokens so far. Text between two control tokens is tokenized as a whole, as every other program does it. */
class Run {
  readonly #tokenizer: Tokenizer
  readonly #ids: number[] = []
  readonly #learn: boolean[] = []
  /** Neighbours differ in `learned`, since each border between two costs another look at all text before it. */
  #parts: { text: string; readonly learned: boolean }[] = []

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer
  }

  add(text: string, learned: boolean): void {
    if (text === '') return
    const last = this.#parts.at(-1)
    if (last?.learned === learned) last.text += text
    else this.#parts.push({ text, learned })
  }

  control(id: number, learned: boolean): void {
    this.#flush()
    this.#ids.push(id)
    this.#learn.push(learned)
  }

  end(): ChatTokens {
    this.#flush()
    return { ids: this.#ids, learn: this.#learn }
  }

  #flush(): void {
    const parts = this.#parts
    this.#parts = []
    if (parts.length === 0) return
    const ids = this.#tokenizer.text(parts.map(({ text }) => text).join(''))
    let before = ''
    for (const [index, { text, learned }] of parts.entries()) {
      before += text
      const end = index === parts.length - 1 ? ids.length : this.#tokensOf(before, ids)
      while (this.#learn.length < this.#ids.length + end) this.#learn.push(learned)
    }
    for (const id of ids) this.#ids.push(id)
  }

  /** How many tokens of a run belong to its beginning. One that reaches over the border belongs to what follows. */
  #tokensOf(beginning: string, ids: readonly number[]): number {
    const own = this.#tokenizer.text(beginning)
    const differs = own.findIndex((id, index) => ids[index] !== id)
    return differs < 0 ? own.length : differs
  }
}
