import type { ChatMessage } from './engine.ts'

/** The control tokens of ChatML. Their ids come from the model, and a message's text never gives them. */
export const CHAT_START = '<|im_start|>'
export const CHAT_END = '<|im_end|>'

/** The same format as a Jinja template, for other programs that read our GGUF files. */
export const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** Turns text into token ids. Text and control tokens are separate, so that a message can't forge a role. */
export interface Tokenizer {
  text(text: string): readonly number[]
  readonly start: number
  readonly end: number
}

export interface ChatTokens {
  readonly ids: number[]
  /** For each token, whether training learns to produce it. */
  readonly learn: boolean[]
}

/**
 * Lays out a conversation. Training and serving both use it.
 * @param open ends with the opening of an assistant message, for the model to go on
 */
export function chatTokens(tokenizer: Tokenizer, messages: readonly ChatMessage[], open: boolean): ChatTokens {
  const ids: number[] = []
  const learn: boolean[] = []
  const push = (tokens: readonly number[], learned: boolean): void => {
    for (const token of tokens) {
      ids.push(token)
      learn.push(learned)
    }
  }
  for (const message of messages) {
    const learned = message.role === 'assistant' && message.weight !== 0
    push([tokenizer.start, ...tokenizer.text(`${message.role}\n`)], false)
    push(tokenizer.text(message.content), learned)
    push([tokenizer.end], learned)
    push(tokenizer.text('\n'), false)
  }
  if (open) push([tokenizer.start, ...tokenizer.text('assistant\n')], false)
  return { ids, learn }
}
