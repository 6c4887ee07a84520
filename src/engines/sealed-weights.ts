import type { EngineProcess } from './engine-process.ts'
import { BaseUnavailable, EngineFailure } from './failures.ts'
import { MAX_HEADER } from './gguf-header.ts'
import { growingMemoryFile, type MemoryFile } from './memory-file.ts'

/** Plaintext of a base whose file is sealed. It must not reach a disk. */
export interface SealedWeights {
  /** Bytes. */
  readonly bytes: number
  read(start?: number, end?: number): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** Opens the sealed file of a base; whoever makes it has the key. @throws Error that says why it can't be opened */
export type OpenWeights = (
  path: string,
  sealed: { readonly id: string; readonly key: string },
) => Promise<SealedWeights>

/** The frame that carries a part of a base's weights to an engine. */
export interface WeightsFrame {
  readonly type: 'weights'
}

const FRAME_BYTES = 4 * 1024 * 1024

/**
 * Sends weights to an engine, which keeps them in a memory file of its own: each engine's copy takes as much memory as they have bytes.
 * @throws BaseUnavailable where they can't be opened or read any more, EngineLost
 */
export async function sendWeights(
  child: Pick<EngineProcess, 'send'>,
  open: () => Promise<SealedWeights>,
): Promise<void> {
  try {
    await sendOpened(child, await open())
  } catch (error) {
    if (error instanceof EngineFailure) throw error
    throw new BaseUnavailable('the sealed file of the base model does not open any more', { cause: error })
  }
}

async function sendOpened(child: Pick<EngineProcess, 'send'>, weights: SealedWeights): Promise<void> {
  const frame: WeightsFrame = { type: 'weights' }
  let parts: Uint8Array[] = []
  let size = 0
  const flush = async (): Promise<void> => {
    const body = Buffer.concat(parts)
    parts = []
    size = 0
    await child.send(frame, body)
  }
  try {
    for await (const part of weights.read()) {
      parts.push(part)
      size += part.length
      if (size >= FRAME_BYTES) await flush()
    }
    await flush()
  } finally {
    await weights.close()
  }
}

/** In an engine: the weights that come in frames. */
export class ReceivedWeights {
  #file: MemoryFile | undefined

  add(bytes: Uint8Array): void {
    this.#file ??= growingMemoryFile('base')
    this.#file.write(bytes)
  }

  /** Where the weights are: in memory, or the file of a base that is not sealed. */
  pathOr(path: string): string {
    return this.#file?.path ?? path
  }

  /** Gives their memory back, once nothing reads them any more. */
  close(): void {
    this.#file?.close()
    this.#file = undefined
  }
}

/** Runs work on a file in memory that has the header of sealed weights, and is as long as they are. What follows the header takes no memory. */
export async function withHeader<T>(weights: SealedWeights, work: (path: string) => T): Promise<T> {
  const file = growingMemoryFile('header')
  try {
    for await (const part of weights.read(0, Math.min(weights.bytes, MAX_HEADER))) file.write(part)
    file.grow(weights.bytes)
    return work(file.path)
  } finally {
    file.close()
  }
}
