import { BASE_MODEL } from '../../test/support/azure.ts'
import { uploadForm } from '../../test/torture/data-operations.ts'
import { bodyOf, must, type Session } from '../../test/torture/session.ts'

/** What a cloud is filled with. */
export interface Amounts {
  readonly accounts: number
  readonly files: number
  readonly jobs: number
}

/** An account of the data plane. */
export interface Full {
  readonly name: string
  readonly apiKey: string
  readonly file: string
}

const OF_A_SUBSCRIPTION = 200
const WAITING_JOBS_OF_AN_ACCOUNT = 100
const ACCOUNTS_WITH_DATA = 20
const AT_ONCE = 16
const LARGE = 20_000_000

/** Accounts in as many subscriptions as they need; files and jobs in the first of them, as evenly as there are places. */
export async function fill(session: Session, amounts: Amounts, tell: (line: string) => void): Promise<Full[]> {
  const began = performance.now()
  const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(0)} s`
  const subscriptions = [session.endpoints.subscriptionId]
  while (subscriptions.length * OF_A_SUBSCRIPTION < amounts.accounts)
    subscriptions.push(await newSubscription(session, `more-${subscriptions.length}`))
  for (const id of subscriptions)
    await must(() => root(session, 'PUT', id, '', { location: session.endpoints.location }))
  const names = Array.from({ length: amounts.accounts }, (_, n) => `full-${n}`)
  await eachOf(names, async (name, n) => {
    await makeAccount(session, subscriptions[Math.floor(n / OF_A_SUBSCRIPTION)] ?? '', name)
  })
  tell(`${amounts.accounts} accounts in ${subscriptions.length} subscriptions, after ${seconds()}`)
  const full: Full[] = []
  for (const name of names.slice(0, ACCOUNTS_WITH_DATA)) full.push(await open(session, subscriptions[0] ?? '', name))
  await eachOf(Array.from({ length: Math.max(0, amounts.files - full.length) }), async (_, n) => {
    await must(() => upload(session, full[n % full.length] as Full))
  })
  tell(`${amounts.files} files, after ${seconds()}`)
  const jobs = Math.min(amounts.jobs, full.length * WAITING_JOBS_OF_AN_ACCOUNT)
  await eachOf(Array.from({ length: jobs }), async (_, n) => {
    const account = full[n % full.length] as Full
    // The first job starts at once, so there may be one more than may wait.
    await must(() => session.data('POST', account, '/fine_tuning/jobs', jobBody(account.file)))
  })
  tell(`${jobs} jobs, after ${seconds()}`)
  return full
}

const jobBody = (file: string): object => ({
  model: BASE_MODEL,
  training_file: file,
  seed: 1,
  hyperparameters: { n_epochs: 3, batch_size: 4 },
})

const pathOf = (name: string): string => `/providers/Microsoft.CognitiveServices/accounts/${name}`

function root(session: Session, method: string, subscription: string, path: string, body?: object) {
  const { resourceManager } = session.endpoints
  return session.root(method, `${resourceManager}/subscriptions/${subscription}/resourceGroups/full${path}`, body)
}

async function newSubscription(session: Session, alias: string): Promise<string> {
  const url = `${session.endpoints.resourceManager}/providers/Microsoft.Subscription/aliases/${alias}?api-version=2021-10-01`
  const body = { properties: { displayName: alias, workload: 'Production' } }
  return bodyOf(await must(() => session.root('PUT', url, body))).properties.subscriptionId
}

async function makeAccount(session: Session, subscription: string, name: string): Promise<void> {
  const { location } = session.endpoints
  const body = { location, kind: 'OpenAI', sku: { name: 'S0' }, properties: { customSubDomainName: name } }
  await must(() => root(session, 'PUT', subscription, pathOf(name), body))
}

async function open(session: Session, subscription: string, name: string): Promise<Full> {
  const keys = bodyOf(await must(() => root(session, 'POST', subscription, `${pathOf(name)}/listKeys`)))
  const account = { name, apiKey: String(keys.key1) }
  return { ...account, file: bodyOf(await must(() => upload(session, account))).id }
}

const lines = (count: number, filler: string): Buffer =>
  Buffer.from(
    Array.from({ length: count }, (_, n) =>
      JSON.stringify({
        messages: [
          { role: 'user', content: `Say number ${n}.${filler}` },
          { role: 'assistant', content: `Number ${n}, gladly.` },
        ],
      }),
    ).join('\n'),
  )
const small = lines(12, '')

function upload(session: Session, account: Pick<Full, 'name' | 'apiKey'>) {
  return session.data('POST', account, '/files', uploadForm('small.jsonl', small))
}

/** A file for slow readers. Resolves to its id. */
export async function uploadLarge(session: Session, account: Full): Promise<string> {
  const bytes = lines(LARGE / 2000, 'x'.repeat(1900))
  return bodyOf(await must(() => session.data('POST', account, '/files', uploadForm('large.jsonl', bytes)), 60)).id
}

/** A deployment of the base model. */
export async function deploy(session: Session, account: Full): Promise<void> {
  const { subscriptionId } = session.endpoints
  const properties = { model: { format: 'OpenAI', name: BASE_MODEL, version: '1' } }
  const body = { sku: { name: 'Standard', capacity: 1 }, properties }
  await must(() => root(session, 'PUT', subscriptionId, `${pathOf(account.name)}/deployments/chat`, body), 60)
}

async function eachOf<T>(all: readonly T[], work: (one: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < all.length; index = next++) await work(all[index] as T, index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}
