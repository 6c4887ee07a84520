import { connectAdministrator } from '../folder/administrator-client.ts'
import { namesOf } from '../audit/audit-routes.ts'
import { parseSince, readAudit, type AuditPage } from '../audit/read-audit.ts'
import { verifyRecords, type RecordsFinding } from '../audit/verify-folder.ts'
import { checkDataFolder } from '../base/data-folder.ts'
import { principals } from '../entra/records.ts'
import { systemEnv } from '../base/env.ts'
import { formatKnownHead, presentHead } from '../store/known-head.ts'
import { UsageError } from '../base/usage-error.ts'
import { byRunningOrStopped, readStopped } from '../folder/stopped-folder.ts'

export interface AuditAsk {
  readonly after?: number | undefined
  readonly vault?: string | undefined
  /** A time, or how long ago: see parseSince. */
  readonly since?: string | undefined
  readonly limit: number
  readonly newestFirst?: boolean
}

export type NamedPage = AuditPage & { readonly names: Readonly<Record<string, string>> }

export interface KnownHead {
  readonly entries: number
  readonly head: string
}

export type Verification = { readonly time: string; readonly records: RecordsFinding } & (
  | ({ readonly ok: true } & KnownHead)
  | { readonly ok: false; readonly at: number; readonly reason: string }
)

/** The audit log of a data folder, whether its cloud runs or not. */
export interface AuditSource {
  readonly running: boolean
  page(ask: AuditAsk): Promise<NamedPage>
  /** `knownHead`: an earlier line of `head`. */
  verify(known?: KnownHead, knownHead?: string): Promise<Verification>
  /** What to keep elsewhere: see store/known-head.ts. */
  head(): Promise<string>
  close(): Promise<void>
}

/** @param since the text that is not a time */
export function badSince(since: string): UsageError {
  return new UsageError(`'${since}' is not a time: use for example 2026-01-31, 2026-01-31T08:00:00Z, or 24h, 7d.`)
}

/** Asks the running cloud, since only that may open its records. Where none runs, it opens the folder itself, and writes nothing. */
export async function openAuditSource(dataDir: string): Promise<AuditSource> {
  // Opening must not create the files.
  await checkDataFolder(dataDir)
  return byRunningOrStopped(
    dataDir,
    () => runningSource(dataDir),
    release => stoppedSource(dataDir, release),
  )
}

async function runningSource(dataDir: string): Promise<AuditSource> {
  const client = await connectAdministrator(dataDir)
  const get = <T>(path: string, query: object): Promise<T> => {
    const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    )
    return client.call('GET', `${path}?${new URLSearchParams(given).toString()}`)
  }
  return {
    running: true,
    page: ask => get('/ownkey/audit', ask),
    verify: (known, knownhead) => get('/ownkey/audit/verify', { ...known, knownhead }),
    head: async () => (await get<{ head: string }>('/ownkey/audit/head', {})).head,
    close: async () => {},
  }
}

async function stoppedSource(dataDir: string, release: () => Promise<void>): Promise<AuditSource> {
  const env = systemEnv
  const { records, log } = await readStopped(dataDir)
  const nameOf = async (id: string): Promise<string | undefined> =>
    (await records.get(principals, id))?.value.displayName
  return {
    running: false,
    async page({ since, ...ask }) {
      const from = since === undefined ? undefined : parseSince(since, env.now())
      if (since !== undefined && from === undefined) throw badSince(since)
      const page = await readAudit(log, { ...ask, since: from })
      return { ...page, names: await namesOf(page.records, nameOf) }
    },
    verify: async (known, knownHead) => ({
      time: new Date(env.now()).toISOString(),
      ...(await log.verify(known)),
      records: await verifyRecords(records, log, knownHead),
    }),
    head: async () => formatKnownHead(await presentHead(records, log)),
    close: async () => {
      await records.close()
      await release()
    },
  }
}
