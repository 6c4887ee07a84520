import { timingSafeEqual } from 'node:crypto'
import { wipe } from '../crypto/wrap.ts'

/**
 * An account's unwrapped data key. Its bytes are outside of the garbage collector's heap, which would copy them, and not in a
 * KeyObject, which can't be overwritten. Callers must not keep them beyond their call.
 */
export class DataKey {
  readonly #bytes = Buffer.from(new ArrayBuffer(32))
  #ended = false

  /** @param bytes 32 bytes, copied: wipe them */
  constructor(bytes: Uint8Array) {
    this.#bytes.set(bytes)
  }

  /** To be used at once. @throws Error when its lease has ended, so that zeros are never used as a key */
  get bytes(): Buffer {
    if (this.#ended) throw new Error('A data key was used after its lease had ended.')
    return this.#bytes
  }

  equals(other: DataKey): boolean {
    return timingSafeEqual(this.bytes, other.bytes)
  }

  /** Overwrites it after callers that just got it have used it, but before anything that waits for a timer or for input. */
  wipe(): void {
    setImmediate(() => {
      this.#ended = true
      wipe(this.#bytes)
    })
  }
}

/** The unwrapped data keys of an account, by generation. */
export interface DataKeys {
  /** The generation for new blobs. */
  readonly current: number
  /** Id of the key-encryption key that they were unwrapped by. */
  readonly kekId: string
  readonly byGeneration: ReadonlyMap<number, DataKey>
}

export function wipeKeys(keys: DataKeys): void {
  for (const key of keys.byGeneration.values()) key.wipe()
}

/** `fresh`, but with the former object for each unchanged key, so that its users go on with it and there is one copy of it. */
export function mergeKeys(before: DataKeys | undefined, fresh: DataKeys): DataKeys {
  const byGeneration = new Map<number, DataKey>()
  for (const [generation, key] of fresh.byGeneration) {
    const known = before?.byGeneration.get(generation)
    const isSame = known?.equals(key) === true
    byGeneration.set(generation, isSame ? known : key)
    if (isSame) key.wipe()
  }
  for (const [generation, key] of before?.byGeneration ?? []) if (byGeneration.get(generation) !== key) key.wipe()
  return { ...fresh, byGeneration }
}
