import { randomBytes, randomUUID } from 'node:crypto'

/** Clock, randomness and ids. They are injected everywhere, so tests can move the clock and repeat random choices. */
export interface Env {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  randomBytes(length: number): Buffer
  /** A random UUID (RFC 9562, version 4), lower case. */
  uuid(): string
}

export const systemEnv: Env = {
  now: () => Date.now(),
  randomBytes: length => randomBytes(length),
  uuid: () => randomUUID(),
}
