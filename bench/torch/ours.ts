import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { TrainingMetrics } from '../../src/engines/engine.ts'
import { readFrames, writeFrame, type Frame } from '../../src/engines/frames.ts'
import type { TrainingCommand, TrainingReply } from '../../src/engines/trainer.ts'

const CHILD = fileURLToPath(new URL('../../src/engines/trainer.child.ts', import.meta.url))

export type Job = Extract<TrainingCommand, { type: 'job' }>

/** The most memory that a process ever had resident, in bytes (VmHWM). Linux only. */
export function peakBytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) * 1024
}

export const megabytes = (bytes: number): number => Math.round(bytes / 1e6)

/** The product's own training process, which does a step whenever it is told to. */
export class OwnTrainer {
  readonly #child: ChildProcess
  readonly #frames: AsyncGenerator<Frame<Record<string, unknown>>>

  constructor() {
    this.#child = spawn(process.execPath, ['--no-warnings', CHILD], {
      stdio: ['pipe', 'ignore', 'inherit', 'pipe', 'pipe'],
    })
    this.#frames = readFrames(this.#child.stdio[3] as Readable)
    ;(this.#child.stdio[4] as Readable).resume()
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Resolves when the weights are placed. @param state to begin with, in place of a fresh adapter */
  async start(job: Job, train: Buffer, state?: Buffer): Promise<void> {
    await this.#send(job)
    // Neither validation data nor an adapter to start from.
    for (const bytes of [train, undefined, undefined, state]) {
      if (bytes !== undefined) await this.#send({ type: 'bytes' }, bytes)
      await this.#send({ type: 'end' })
    }
    const { reply } = await this.#next()
    if (reply.type !== 'started') throw new Error(`the trainer answered ${JSON.stringify(reply)}`)
  }

  async step(): Promise<TrainingMetrics> {
    await this.#send({ type: 'next' })
    const { reply } = await this.#next()
    if (reply.type !== 'metrics') throw new Error(`the trainer answered ${JSON.stringify(reply)}`)
    return reply.metrics
  }

  /** After the last step of an epoch: the state to resume from. */
  async state(): Promise<Buffer> {
    await this.#send({ type: 'next' })
    const { reply, body } = await this.#next()
    if (reply.type !== 'checkpoint') throw new Error(`the trainer answered ${JSON.stringify(reply)}`)
    return body.subarray(reply.adapterBytes)
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  #send(command: TrainingCommand, body?: Buffer): Promise<void> {
    return writeFrame(this.#child.stdin as Writable, command, body)
  }

  async #next(): Promise<{ reply: TrainingReply; body: Buffer }> {
    const { value, done } = await this.#frames.next()
    if (done === true) throw new Error('the trainer has ended')
    const reply = value.header as unknown as TrainingReply
    if (reply.type === 'failed') throw new Error(reply.message)
    return { reply, body: value.body }
  }
}
