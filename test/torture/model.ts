/**
 * The possible states of one thing. Exactly one state is possible when nothing is under way. During an operation, and after one without an
 * answer, its outcome is possible besides the former state. A check then shows which, and never a third one.
 */
export class Known<S extends string> {
  #possible: readonly S[]
  #isBusy = false

  constructor(state: S) {
    this.#possible = [state]
  }

  /** The only possible state; undefined while there are several. */
  get now(): S | undefined {
    return this.#possible.length === 1 ? this.#possible[0] : undefined
  }

  get possible(): readonly S[] {
    return this.#possible
  }

  /** Whether nothing is under way, and its state is known. */
  get isFree(): boolean {
    return !this.#isBusy && this.#possible.length === 1
  }

  /** An operation is sent. Call one of the others when its outcome is there. */
  begin(next: S): void {
    this.#isBusy = true
    this.#possible = [...new Set([...this.#possible, next])]
  }

  done(next: S): void {
    this.#isBusy = false
    this.#possible = [next]
  }

  refused(before: S): void {
    this.done(before)
  }

  /** The outcome is unknown, so both states stay possible until a check. */
  lost(): void {
    this.#isBusy = false
  }

  /** Sets the state that was seen. Returns what is wrong with it, if anything. */
  see(seen: S, what: string): string[] {
    this.#isBusy = false
    const before = this.#possible
    this.#possible = [seen]
    return before.includes(seen) ? [] : [`${what} is ${seen}, but can only be ${before.join(' or ')}`]
  }
}

export interface FileItem {
  /** Its filename, which no other has. */
  readonly name: string
  id?: string
  readonly sha256: string
  readonly state: Known<'here' | 'gone'>
  /** Jobs that read it, so that it is not deleted meanwhile. */
  isTraining: boolean
}

export type JobState = 'absent' | 'unfinished' | 'paused' | 'cancelled' | 'succeeded'

export interface JobItem {
  /** Its suffix, which no other has. */
  readonly name: string
  id?: string
  readonly file: FileItem
  readonly state: Known<JobState>
  /** Set once it succeeded. These never change again. */
  result?: { readonly model: string; readonly file: string; readonly sha256: string }
  readonly model: Known<'here' | 'gone'>
}

export interface DeploymentItem {
  readonly name: string
  readonly model: string
  readonly state: Known<'here' | 'gone'>
  /** Its first answer. At temperature 0 it answers the same again. */
  answer?: string
}

export interface VaultKey {
  readonly name: string
  readonly state: Known<'absent' | 'live' | 'deleted' | 'purged'>
  /** A text that its first version encrypted, while it can be opened. */
  sealed?: { readonly text: string; readonly value: string; readonly version: string }
}

/** An account that lives through the whole run. */
export interface MainAccount {
  readonly name: string
  readonly apiKey: string
  readonly principalId: string
  readonly vault: string
  readonly files: FileItem[]
  readonly jobs: JobItem[]
  readonly deployments: DeploymentItem[]
  /** Versions of its key whose making was answered. */
  readonly versions: string[]
  /** `service`, or the version of its key. */
  readonly protectedBy: Known<string>
  readonly policy: Known<'granted' | 'removed'>
  readonly tag: Known<string>
  /** Its policy was removed since the last check, so a job may have paused by itself. */
  hadKeyTrouble: boolean
  /** How often a re-encryption was accepted. */
  reEncryptions: number
}

/** An account that is made, deleted, restored and purged. */
export interface ShortAccount {
  readonly name: string
  apiKey?: string
  readonly state: Known<'absent' | 'live' | 'deleted' | 'purged'>
  file?: { readonly id: string; readonly sha256: string }
}

/** Everything that was acknowledged, and what may have happened besides. */
export class Model {
  readonly main: MainAccount[] = []
  readonly short: ShortAccount[] = []
  readonly keys: VaultKey[] = []
  /** Blobs that operations without an answer may have left without a record, in all rounds. */
  mayBeOrphans = 0
  /** Operations by name and outcome. */
  readonly counts = new Map<string, number>()
  #names = 0

  /** A name that nothing has had yet. */
  name(kind: string): string {
    this.#names += 1
    return `${kind}-${this.#names}`
  }

  count(operation: string, outcome: string): void {
    const key = `${operation} ${outcome}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
  }
}
