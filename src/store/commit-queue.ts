/** Groups the commits of one turn of the event loop into one transaction and one sync. */
export class CommitQueue<T> {
  readonly #write: (group: readonly T[]) => void
  #pending: T[] = []

  constructor(write: (group: readonly T[]) => void) {
    this.#write = write
  }

  add(commit: T): void {
    this.#pending.push(commit)
    if (this.#pending.length === 1) setImmediate(() => this.flush())
  }

  /** Writes the waiting commits now. */
  flush(): void {
    const group = this.#pending
    this.#pending = []
    if (group.length > 0) this.#write(group)
  }
}
