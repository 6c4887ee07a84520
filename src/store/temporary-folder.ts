import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/** A new folder for tests, removed when they are over. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ownkey-store-'))
  after(() => rmSync(path, { recursive: true, force: true }))
  return path
}
