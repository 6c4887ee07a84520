import { setTimeout as sleep } from 'node:timers/promises'
import { fitted } from '../base/terminal.ts'
import { connectAdministrator } from '../folder/administrator-client.ts'
import { UsageError } from '../base/usage-error.ts'
import { allAccounts } from './all-accounts.ts'

interface Shown {
  readonly status: 'InProgress' | 'Succeeded' | 'Failed'
  readonly percentComplete: number
  readonly properties: {
    readonly generation: number
    readonly blobs: { readonly total: number; readonly done: number }
    readonly bytes: { readonly total: number; readonly done: number }
    readonly records: number
    readonly waitingFor?: string
  }
  readonly error?: { readonly message: string }
}

const VERSION = 'api-version=2025-06-01'
const POLL_MS = 500

/** Seals everything of an account anew under a new data key, and waits until that is done. Resolves to the exit code. */
export async function reEncrypt(options: {
  dataDir: string
  account: string
  mebibytesPerSecond: number | undefined
  wait: boolean
}): Promise<number> {
  const client = await connectAdministrator(options.dataDir)
  const wanted = options.account.toLowerCase()
  const all = await allAccounts<{ id: string; name: string }>(client)
  const named = all.filter(({ id, name }) => [id, name].some(text => text.toLowerCase() === wanted))
  const [account] = named
  if (account === undefined) throw new Error(`There is no account ${options.account}.`)
  if (named.length > 1)
    throw new UsageError(
      `There are ${named.length} of them, name one by its id:\n${named.map(({ id }) => id).join('\n')}`,
    )
  const { mebibytesPerSecond } = options
  const body = mebibytesPerSecond === undefined ? {} : { mebibytesPerSecond }
  let shown = await client.call<Shown>('POST', `${account.id}/reEncrypt?${VERSION}`, body)
  process.stdout.write(`${account.name}: data key of generation ${shown.properties.generation} made\n`)
  let said = ''
  while (options.wait && shown.status === 'InProgress') {
    await sleep(POLL_MS)
    shown = await client.call<Shown>('GET', `${account.id}/reEncryption?${VERSION}`)
    const line = progress(shown)
    // The progress only on a terminal; what it waits for always.
    const isWanted = process.stderr.isTTY || shown.properties.waitingFor !== undefined
    if (line !== said && isWanted) process.stderr.write(`${line}\n`)
    said = line
  }
  if (shown.status === 'Failed')
    process.stderr.write(`${fitted(`ownkey: ${shown.error?.message ?? 'It failed.'}`, '  ')}\n`)
  if (shown.status === 'Succeeded')
    process.stdout.write(`${progress(shown)}\nDone: the former data keys are destroyed.\n`)
  return shown.status === 'Failed' ? 1 : 0
}

function progress({ percentComplete, properties: { blobs, bytes, records, waitingFor } }: Shown): string {
  const done = `${String(percentComplete).padStart(3)} %  ${blobs.done} of ${blobs.total} blobs, ${bytes.done.toLocaleString('en')} bytes, ${records} records`
  return fitted(waitingFor === undefined ? done : `${done}; waits: ${waitingFor}`, '  ')
}
