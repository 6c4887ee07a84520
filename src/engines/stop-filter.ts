/** Cuts a stream of text at the first stop sequence, and holds back text that may become one. */
export class StopFilter {
  readonly #stops: readonly string[]
  #held = ''

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter(stop => stop !== '')
  }

  /** The text that can be returned now, and whether a stop sequence has come. The first complete one counts. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    for (const letter of text) {
      this.#held += letter
      const ends = this.#stops.filter(stop => this.#held.endsWith(stop)).map(stop => stop.length)
      if (ends.length > 0) {
        const shown = this.#held.slice(0, this.#held.length - Math.max(...ends))
        this.#held = ''
        return { text: shown, stopped: true }
      }
    }
    const keep = this.#stops.reduce((most, stop) => Math.max(most, overlap(this.#held, stop)), 0)
    const shown = this.#held.slice(0, this.#held.length - keep)
    this.#held = this.#held.slice(shown.length)
    return { text: shown, stopped: false }
  }

  /** The text that was held back, when no more comes. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length -= 1) {
    if (text.endsWith(stop.slice(0, length))) return length
  }
  return 0
}
