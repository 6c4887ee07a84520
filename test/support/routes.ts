import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRootKeys } from '../../src/encryption/root-key.ts'
import { metadataRoutes } from '../../src/entra/metadata.ts'
import { systemEnv as env } from '../../src/base/env.ts'
import type { Route } from '../../src/http/route.ts'
import { Snapshots } from '../../src/folder/snapshots.ts'
import { wireModules } from '../../src/cloud/wire.ts'
import { openAuditLog } from '../../src/store/audit-log.ts'
import { holdable } from '../../src/store/held-blobs.ts'
import { openMemoryBlobs } from '../../src/store/memory-blobs.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'

/** Every route record of a cloud, as a cloud serves them, from modules that are opened in memory and never started. */
export async function everyRoute(): Promise<Route[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-routes-'))
  const records = await openSqliteRecords(join(folder, 'records.db'))
  const blobs = holdable(openMemoryBlobs())
  const log = (): void => {}
  const modules = await wireModules({
    env,
    records,
    port: 443,
    domain: 'localhost',
    diagnosticsFolder: folder,
    dataDir: folder,
    blobs,
    snapshots: new Snapshots({ dataDir: folder, records, blobs, env, log }),
    audit: await openAuditLog(records, env),
    rootKeys: await openRootKeys({ file: join(folder, 'root.key'), fromEnvironment: undefined, makeWith: env }),
    keyLeaseSeconds: 60,
    keyWatchSeconds: 60,
    location: 'westeurope',
    log,
  })
  const metadata = metadataRoutes({ env, identities: modules.entra.identities, domain: 'localhost', caPem: () => '' })
  await modules.close()
  await records.close()
  await rm(folder, { recursive: true })
  return [...modules.routes, ...metadata]
}
