import type { LlamaModel, Token } from 'node-llama-cpp'
import type { LaidOut } from './answer-spans.ts'
import type { ChatLayout, Tokenizer } from './chat-layout.ts'
import { ChatTemplate, TOOL_PROBE } from './chat-template.ts'
import type { Conversation } from './engine.ts'
import { ConversationRefused, EngineFailure } from './failures.ts'
import type { GgufValue } from './gguf-header.ts'
import { openGguf } from './gguf.ts'
import { openLlama } from './open-llama.ts'

/** `tokenizer.ggml.token_type` of tokens that are matched as a whole (llama.h, `enum llama_token_type`). */
const [CONTROL, USER_DEFINED] = [3, 4]

/** How conversations are laid out for a loaded model, by the template in its file. @throws EngineFailure where it has none */
export function chatLayout(model: LlamaModel, path: string): ChatLayout {
  const file = openGguf(path)
  file.close()
  const { metadata } = file
  const source = metadata.get('tokenizer.chat_template')
  if (typeof source !== 'string')
    throw new EngineFailure('the base model has no chat template, so it is not a model for conversations')
  const texts = metadata.get('tokenizer.ggml.tokens') as readonly string[]
  const idOf = (key: string): number | undefined => {
    const value = metadata.get(`tokenizer.ggml.${key}_token_id`)
    return typeof value === 'number' && value < texts.length ? value : undefined
  }
  const textOf = (id: number | undefined): string => (id === undefined ? '' : (texts[id] ?? ''))
  const bos = idOf('bos')
  const ends = { bos: textOf(bos), eos: textOf(idOf('eos')) }
  const template = new ChatTemplate(source, ends)
  const wants = metadata.get('tokenizer.ggml.add_bos_token') ?? metadata.get('tokenizer.ggml.model') === 'llama'
  const tokenizer = tokenizerOf(model, wholeTokens(texts, metadata.get('tokenizer.ggml.token_type')))
  return {
    template,
    tokenizer: guarded(tokenizer, template, Object.values(ends)),
    bos: wants === true ? bos : undefined,
  }
}

/** Ids of tokens that are matched as a whole, by their text. */
function wholeTokens(texts: readonly string[], types: GgufValue | undefined): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  if (!Array.isArray(types)) return found
  for (const [id, type] of types.entries()) {
    const text = texts[id] ?? ''
    if ((type === CONTROL || type === USER_DEFINED) && text !== '') found.set(text, id)
  }
  return found
}

function tokenizerOf(model: LlamaModel, whole: ReadonlyMap<string, number>): Tokenizer {
  const names = [...whole.keys()].toSorted((a, b) => b.length - a.length).map(name => RegExp.escape(name))
  const pattern = names.length === 0 ? undefined : new RegExp(`(${names.join('|')})`)
  return {
    text: (text: string): readonly Token[] => model.tokenize(text, false),
    split: text =>
      (pattern === undefined ? [text] : text.split(pattern))
        .filter(part => part !== '')
        .map(part => ({ text: part, id: whole.get(part) })),
  }
}

/**
 * llama.cpp never finds a control token in ordinary text, but finds one that the model's makers marked as user-defined. Where a template is
 * made of such tokens (Gemma), a message could forge a role with them, so their text is tokenized there in two halves.
 * @param others texts of control tokens that the template may not write, such as the first of a text
 */
export function guarded(
  tokenizer: Tokenizer,
  template: Pick<ChatTemplate, 'layOut' | 'source'>,
  others: readonly string[],
): Tokenizer {
  const laidOut = [...template.layOut(PROBE, true), ...toolsLaidOut(template)].filter(({ isGiven }) => !isGiven)
  const own = [...laidOut.map(({ text }) => text), ...others, template.source]
  // White space forges no role, and would be split in every text.
  const controls = own
    .flatMap(text => tokenizer.split(text))
    .filter(({ id, text }) => id !== undefined && text.trim() !== '')
  const ids = new Set(controls.map(({ id }) => id))
  const forms = [...new Set(controls.map(({ text }) => text))]
  return {
    ...tokenizer,
    text(text) {
      const plain = tokenizer.text(text)
      if (!plain.some(id => ids.has(id))) return plain
      const parts = forms.reduce((cut, form) => cut.flatMap(part => halved(part, form)), [text])
      return parts.flatMap(part => tokenizer.text(part))
    },
  }
}

/** A template that takes no tool's result is not made of control tokens for them either. */
function toolsLaidOut(template: Pick<ChatTemplate, 'layOut'>): readonly LaidOut[] {
  try {
    return template.layOut(TOOL_PROBE, true)
  } catch (error) {
    if (error instanceof ConversationRefused) return []
    throw error
  }
}

const PROBE: Conversation = {
  messages: [
    { role: 'system', content: 's' },
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'c' },
  ],
}

/** Cuts a text behind the first character of each place that has the form. */
function halved(text: string, form: string): string[] {
  const parts: string[] = []
  let from = 0
  for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) {
    parts.push(text.slice(from, at + 1))
    from = at + 1
  }
  return [...parts, text.slice(from)].filter(part => part !== '')
}

/** Reads only the vocabulary of a GGUF with llama.cpp, so that training tokenizes text exactly as serving does. */
export async function loadVocabulary(path: string): Promise<{ layout: ChatLayout; dispose: () => Promise<void> }> {
  const llama = await openLlama(1)
  const model = await llama.loadModel({ modelPath: path, vocabOnly: true })
  return { layout: chatLayout(model, path), dispose: () => llama.dispose() }
}
