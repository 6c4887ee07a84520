import { join } from 'node:path'
import { VaultWaits } from '../encryption/vault-waits.ts'
import { namedKeyOf } from '../accounts/named-key.ts'
import { connectAdministrator } from './administrator-client.ts'
import { verifyRecords, type RecordsFinding } from '../audit/verify-folder.ts'
import { checkDataFolder } from '../base/data-folder.ts'
import { KeyRing } from '../encryption/key-ring.ts'
import { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { systemEnv } from '../base/env.ts'
import { blobReferences } from '../openai/blob-references.ts'
import { readDirectoryBlobs } from '../store/directory-blobs.ts'
import type { BlobsPage } from './blob-check.ts'
import { FolderCheck, type AccountsPage, type FilesFound } from './folder-check.ts'
import { byRunningOrStopped, readStopped } from './stopped-folder.ts'

/** The findings about records and audit log. */
export type RecordsVerdict = { readonly records: RecordsFinding } & (
  | { readonly ok: true; readonly entries: number; readonly head: string }
  | { readonly ok: false; readonly at: number; readonly reason: string }
)

/** A data folder to be verified, whether its cloud runs or not. */
export interface VerifySource {
  readonly running: boolean
  records(knownHead?: string): Promise<RecordsVerdict>
  files(): Promise<FilesFound>
  accounts(after?: string): Promise<AccountsPage>
  blobs(whole: boolean, after?: string): Promise<BlobsPage>
  close(): Promise<void>
}

const LEASE_MS = 60_000

/** Asks the running cloud. Where none runs, it reads the folder itself, and changes nothing in it. */
export async function openVerifySource(dataDir: string): Promise<VerifySource> {
  await checkDataFolder(dataDir)
  return byRunningOrStopped(
    dataDir,
    () => runningSource(dataDir),
    release => stoppedSource(dataDir, release),
  )
}

async function runningSource(dataDir: string): Promise<VerifySource> {
  const client = await connectAdministrator(dataDir)
  const get = <T>(path: string, query: Readonly<Record<string, string | undefined>>): Promise<T> => {
    const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
    return client.call('GET', `/ownkey/${path}?${new URLSearchParams(given).toString()}`)
  }
  return {
    running: true,
    records: knownhead => get('audit/verify', { knownhead }),
    files: () => get('verify/files', {}),
    accounts: after => get('verify/accounts', { after }),
    blobs: (whole, after) => get('verify/blobs', { whole: String(whole), after }),
    close: async () => {},
  }
}

async function stoppedSource(dataDir: string, release: () => Promise<void>): Promise<VerifySource> {
  const env = systemEnv
  const { rootKeys, records, log } = await readStopped(dataDir)
  const ring = new KeyRing({
    records,
    rootKeys,
    leaseMs: LEASE_MS,
    // R11: customers' keys come from their vaults alone, which are not served now.
    vaults: { agentFor: () => undefined, timeoutMs: 1, waits: new VaultWaits() },
    credentialOf: () => ({ getToken: async () => null }),
    settingsOf: accountId => namedKeyOf(records, accountId),
  })
  const check = new FolderCheck({
    records,
    ring,
    dataDir,
    isStopped: true,
    blobs: new SealedBlobs({
      ring,
      blobs: readDirectoryBlobs(join(dataDir, 'blobs')),
      env,
      deploymentRoot: rootKeys.deployment,
    }),
    references: accountId => blobReferences(records, accountId),
    closedBecause: 'its key is in a vault, which is asked while the cloud runs',
  })
  return {
    running: false,
    records: async knownHead => ({
      ...(await log.verify()),
      records: await verifyRecords(records, log, knownHead),
    }),
    files: () => check.files(),
    accounts: after => check.accounts(after),
    blobs: (whole, after) => check.blobs(whole, after),
    close: async () => {
      await records.close()
      await release()
    },
  }
}
