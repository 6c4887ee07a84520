import { spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { FlatFile, SharedModel } from './f32-model.ts'

const SCRIPT = fileURLToPath(new URL('reference.py', import.meta.url))

/** On which positions the reference computes logits: on all, as transformers does it by itself, or on those that are learned. */
export type Head = 'all' | 'learned'

export interface Loaded {
  /** VmHWM after the imports, and after the model and adapter were loaded. */
  readonly importedBytes: number
  readonly peakBytes: number
  readonly versions: Readonly<Record<string, string>>
}

/** torch with transformers and peft in a process of its own. */
export class TorchTrainer {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface

  constructor(python: string, threads: number) {
    const threading = { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) }
    const env = {
      ...process.env,
      ...threading,
      HF_HUB_OFFLINE: '1',
      TRANSFORMERS_VERBOSITY: 'error',
      PYTHONWARNINGS: 'ignore',
    }
    this.#child = spawn(python, [SCRIPT], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#reader = createInterface({ input: this.#child.stdout as Readable })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  load(model: SharedModel, adapter: FlatFile, options: { rank: number; alpha: number; threads: number; head: Head }) {
    const { kind, config, permutes, flat } = model
    return this.#ask<Loaded>({ do: 'load', kind, config, permutes, model: flat, adapter, ...options })
  }

  step(sequences: readonly object[], rate: number): Promise<{ loss: number; peakBytes: number }> {
    return this.#ask({ do: 'step', sequences, rate })
  }

  /** First moments of the optimizer or weights, in the order of the adapter's file. */
  async values(what: 'means' | 'weights', path: string): Promise<Float32Array> {
    await this.#ask({ do: 'write', what, path })
    const bytes = await readFile(path)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  }

  end(): void {
    this.#reader.close()
    this.#child.kill('SIGKILL')
  }

  async #ask<Answer>(command: object): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error('the reference has ended')
    return JSON.parse(value) as Answer
  }
}
