import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRootKeys } from '../../src/encryption/root-key.ts'
import { metadataRoutes } from '../../src/entra/metadata.ts'
import { systemEnv as env } from '../../src/env.ts'
import type { Route } from '../../src/http/route.ts'
import { Snapshots } from '../../src/folder/snapshots.ts'
import { openRooms } from '../../src/rooms.ts'
import { openAuditLog } from '../../src/store/audit-log.ts'
import { holdable } from '../../src/store/held-blobs.ts'
import { openMemoryBlobs } from '../../src/store/memory-blobs.ts'
import { openSqliteRecords } from '../../src/store/sqlite-records.ts'

/** Every route record of a cloud, as main serves them, from rooms that are opened in memory and never started. */
export async function everyRoute(): Promise<Route[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-routes-'))
  const records = await openSqliteRecords(join(folder, 'records.db'))
  const blobs = holdable(openMemoryBlobs())
  const log = (): void => {}
  const rooms = await openRooms({
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
  const metadata = metadataRoutes({ env, identities: rooms.entra.identities, domain: 'localhost', caPem: () => '' })
  await rooms.close()
  await records.close()
  await rm(folder, { recursive: true })
  return [...rooms.routes, ...metadata]
}
