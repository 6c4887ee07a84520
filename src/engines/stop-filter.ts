/** Cuts a stream of text at the first stop sequence, holding back what may become one. */
export class StopFilter {
  readonly #stops: readonly string[]
  #held = ''

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter(stop => stop !== '')
  }

  /** What may be shown now, and whether a stop sequence has come. */
  push(text: string): { readonly text: string; readonly stopped: boolean } {
    this.#held += text
    const found = this.#stops.map(stop => this.#held.indexOf(stop)).filter(at => at >= 0)
    if (found.length > 0) {
      const shown = this.#held.slice(0, Math.min(...found))
      this.#held = ''
      return { text: shown, stopped: true }
    }
    const keep = this.#stops.reduce((most, stop) => Math.max(most, overlap(this.#held, stop)), 0)
    const shown = this.#held.slice(0, this.#held.length - keep)
    this.#held = this.#held.slice(shown.length)
    return { text: shown, stopped: false }
  }

  /** What was held back, when no more text comes. */
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
