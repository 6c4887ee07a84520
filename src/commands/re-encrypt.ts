import { setTimeout as sleep } from 'node:timers/promises'
import { connectAdministrator } from '../administrator-client.ts'
import { readEndpoints } from '../endpoints.ts'

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
  const { subscriptionId } = await readEndpoints(options.dataDir)
  const path = `/subscriptions/${subscriptionId}/providers/Microsoft.CognitiveServices/accounts?${VERSION}`
  const { value: all } = await client.call<{ value: { id: string; name: string }[] }>('GET', path)
  const account = all.find(({ name }) => name.toLowerCase() === options.account.toLowerCase())
  if (account === undefined) throw new Error(`There is no account ${options.account}.`)
  const { mebibytesPerSecond } = options
  const body = mebibytesPerSecond === undefined ? {} : { mebibytesPerSecond }
  let shown = await client.call<Shown>('POST', `${account.id}/reEncrypt?${VERSION}`, body)
  process.stdout.write(`${account.name}: data key of generation ${shown.properties.generation} made\n`)
  let said = ''
  while (options.wait && shown.status === 'InProgress') {
    await sleep(POLL_MS)
    shown = await client.call<Shown>('GET', `${account.id}/reEncryption?${VERSION}`)
    const line = progress(shown)
    if (line !== said) process.stdout.write(`${line}\n`)
    said = line
  }
  if (shown.status === 'Failed') process.stderr.write(`ownkey: ${shown.error?.message ?? 'It failed.'}\n`)
  if (shown.status === 'Succeeded') process.stdout.write('Done: the former data keys are destroyed.\n')
  return shown.status === 'Failed' ? 1 : 0
}

function progress({ percentComplete, properties: { blobs, bytes, records, waitingFor } }: Shown): string {
  const done = `${String(percentComplete).padStart(3)} %  ${blobs.done} of ${blobs.total} blobs, ${bytes.done.toLocaleString('en')} bytes, ${records} records`
  return waitingFor === undefined ? done : `${done}; waits: ${waitingFor}`
}
