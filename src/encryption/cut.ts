import type { PlaintextHold } from './plaintext-holds.ts'

/** The signal of a hold that only begins when the blob is read. */
export class Cut {
  #controller: AbortController | undefined
  #hold: PlaintextHold | undefined

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#hold !== undefined) this.follow(this.#hold)
    }
    return this.#controller.signal
  }

  follow(hold: PlaintextHold): void {
    this.#hold = hold
    if (this.#controller === undefined) return
    const { signal } = hold
    const abort = (): void => this.#controller?.abort(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }
}
