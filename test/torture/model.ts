/**
 * What one thing may be at present. Exactly one state is possible when nothing is under way; while an operation is, and after one that
 * nobody answered, its outcome is possible beside what was: a look then says which, and no third.
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

  /** Nothing is under way, and what it is is known. */
  get isFree(): boolean {
    return !this.#isBusy && this.#possible.length === 1
  }

  /** An operation is sent; call one of the others when its outcome is there. */
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

  /** Nobody knows: both stay possible until a look. */
  lost(): void {
    this.#isBusy = false
  }

  /** What was seen is what it is from now on. Resolves to what is wrong with that, if anything. */
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
  /** Of jobs that read it: it is not deleted meanwhile. */
  isTraining: boolean
}

export type JobState = 'absent' | 'unfinished' | 'paused' | 'cancelled' | 'succeeded'

export interface JobItem {
  /** Its suffix, which no other has. */
  readonly name: string
  id?: string
  readonly file: FileItem
  readonly state: Known<JobState>
  /** Once it succeeded: these never change again. */
  result?: { readonly model: string; readonly file: string; readonly sha256: string }
  readonly model: Known<'here' | 'gone'>
}

export interface DeploymentItem {
  readonly name: string
  readonly model: string
  readonly state: Known<'here' | 'gone'>
  /** What it said first: at temperature 0 it says the same again. */
  answer?: string
}

export interface VaultKey {
  readonly name: string
  readonly state: Known<'absent' | 'live' | 'deleted' | 'purged'>
  /** A text that its first version encrypted, as long as it can be opened. */
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
  /** Its policy was removed since the last look: a job may have paused by itself. */
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
  /** Blobs that the operations which no kill answered may have left without a record, in all rounds. */
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
