/** A piece of a rendered template. */
export interface Piece {
  readonly text: string
  /** It is of the conversation, and not of the template. */
  readonly isGiven: boolean
  /** Index of the message that it is of; absent: of the template, or of a tool's definition. */
  readonly message?: number | undefined
}

interface Given {
  readonly text: string
  readonly message: number | undefined
  /** A template may trim a content. A number that JavaScript can't hold is written without the quotes of a string. */
  readonly kind: 'content' | 'value' | 'number' | 'hint'
}

/** Around a content: white space that every trim takes away, and that no template writes. */
const EDGE = '\u2002'
/** The quote tells how often a text was encoded as JSON: once makes it `\"`, twice `\\\"`. */
const STAND_IN = /(\u2002?)\uE000(\d+)(\\*)"\uE001(\u2002?)/

/**
 * Texts that stand for those of a conversation while a template runs, so that no text of a user meets the template. No filter of a
 * template changes them, except that it may trim them or encode them as JSON, which `split` then does to the text itself.
 */
export class StandIns {
  readonly #given: Given[] = []
  readonly #shown = new Set<number>()

  /** For a message's content. */
  content(text: string, message: number): string {
    return text === '' ? '' : `${EDGE}${this.#add({ text, message, kind: 'content' })}${EDGE}`
  }

  /** For a name, a key, or another text that is part of a call or of a definition. */
  value(text: string, message?: number): string {
    return text === '' ? '' : this.#add({ text, message, kind: 'value' })
  }

  /** For a text that a template need not write. */
  hint(text: string, message?: number): string {
    return this.#add({ text, message, kind: 'hint' })
  }

  /** For a number's digits. */
  number(digits: string, message?: number): string {
    return this.#add({ text: digits, message, kind: 'number' })
  }

  #add(given: Given): string {
    return `\uE000${this.#given.push(given) - 1}"\uE001`
  }

  /** Messages of which `split` did not find a text; undefined stands for definitions of tools. */
  get hidden(): ReadonlySet<number | undefined> {
    const hidden = this.#given.filter(({ kind }, index) => kind !== 'hint' && !this.#shown.has(index))
    return new Set(hidden.map(({ message }) => message))
  }

  /** Puts the texts into what a template made of their stand-ins. */
  split(rendered: string): Piece[] {
    // `split` puts the four groups between the texts around them.
    const parts = rendered.split(STAND_IN)
    const pieces: Piece[] = []
    let own = parts[0] ?? ''
    for (let at = 1; at + 4 < parts.length; at += 5) {
      const [left, index, slashes, right, next] = parts.slice(at, at + 5) as [string, string, string, string, string]
      const given = this.#given[Number(index)]
      this.#shown.add(Number(index))
      const isBare = given?.kind === 'number' && slashes.length === 1 && own.endsWith('"') && next.startsWith('"')
      if (isBare) own = own.slice(0, -1)
      if (own !== '') pieces.push({ text: own, isGiven: false })
      const text = given === undefined ? '' : encoded(trimmed(given, left, right), slashes.length)
      if (text !== '') pieces.push({ text, isGiven: true, message: given?.message })
      own = isBare ? next.slice(1) : next
    }
    if (own !== '') pieces.push({ text: own, isGiven: false })
    return pieces
  }
}

function trimmed({ text, kind }: Given, left: string, right: string): string {
  if (kind !== 'content') return text
  const begun = left === '' ? text.trimStart() : text
  return right === '' ? begun.trimEnd() : begun
}

/** @param slashes before the quote: 0, 1, 3, 7 for a text that was encoded 0 to 3 times */
function encoded(text: string, slashes: number): string {
  let result = text
  for (let left = slashes; left > 0; left = (left - 1) / 2) result = JSON.stringify(result).slice(1, -1)
  return result
}
