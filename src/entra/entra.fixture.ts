import { createSecretKey, randomBytes } from 'node:crypto'
import { systemEnv, type Env } from '../base/env.ts'
import { startListening, type Listening } from '../http/listening.fixture.ts'
import type { Route } from '../http/route.ts'
import { openMemoryRecords } from '../store/memory-records.ts'
import type { RecordStore } from '../store/records.ts'
import { openEntra, type Entra } from './open-entra.ts'
import type { EntraOptions } from './entra-options.ts'

/** A directory in memory with a clock that tests move. */
export interface TestEntra {
  readonly entra: Entra
  readonly records: RecordStore
  readonly options: EntraOptions
  advance(milliseconds: number): void
}

export async function startEntra(): Promise<TestEntra> {
  let shift = 0
  const env: Env = { ...systemEnv, now: () => Date.now() + shift }
  const records = openMemoryRecords()
  const options: EntraOptions = {
    records,
    env,
    portal: 'https://portal.localhost:8443',
    sealingKey: createSecretKey(randomBytes(32)),
    domain: 'localhost',
    authority: tenantId => `https://login.localhost/${tenantId}`,
  }
  return {
    entra: await openEntra(options),
    records,
    options,
    advance: milliseconds => void (shift += milliseconds),
  }
}

/** The directory behind a real listener. */
export async function serveEntra(test: TestEntra, more: readonly Route[] = []): Promise<Listening> {
  return startListening([...test.entra.routes, ...more], { management: test.entra.managementAuthenticator })
}
