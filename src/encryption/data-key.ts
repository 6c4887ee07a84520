import { timingSafeEqual } from 'node:crypto'
import { wipe } from '../crypto/wrap.ts'

/**
 * An account's unwrapped data key. Its bytes lie outside of the garbage collector's heap, which would copy them about, and not in
 * a KeyObject, which nothing can overwrite; nobody keeps them beyond the call they are for.
 */
export class DataKey {
  readonly #bytes = Buffer.from(new ArrayBuffer(32))
  #ended = false

  /** @param bytes 32 bytes, copied: wipe them */
  constructor(bytes: Uint8Array) {
    this.#bytes.set(bytes)
  }

  /** To be used at once. @throws Error when the lease it came under has ended: zeros must never be taken for a key */
  get bytes(): Buffer {
    if (this.#ended) throw new Error('A data key was used after its lease had ended.')
    return this.#bytes
  }

  equals(other: DataKey): boolean {
    return timingSafeEqual(this.bytes, other.bytes)
  }

  /** Overwrites it once whoever has just been given it has used it: before anything else that waits for a timer or for input. */
  wipe(): void {
    setImmediate(() => {
      this.#ended = true
      wipe(this.#bytes)
    })
  }
}

/** The unwrapped data keys of an account, by generation. */
export interface DataKeys {
  /** The generation that new blobs are wrapped under. */
  readonly current: number
  /** Id of the key-encryption key that they were unwrapped by. */
  readonly kekId: string
  readonly byGeneration: ReadonlyMap<number, DataKey>
}

export function wipeKeys(keys: DataKeys): void {
  for (const key of keys.byGeneration.values()) key.wipe()
}

/** `fresh`, but for keys that are the same as before: whoever is using one goes on with it, and there is one copy of it. */
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
