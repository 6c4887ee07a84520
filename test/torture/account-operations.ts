import { attempt, pickOf, type At, type Operation } from './at.ts'
import { sha256, trainingData, uploadForm } from './data-operations.ts'
import { pathOf } from './engine-operations.ts'
import { Known, type ShortAccount } from './model.ts'
import { bodyOf, type Outcome, type Session } from './session.ts'

const MOST_ACCOUNTS = 3
const POLL_MS = 20

/** The path of a deleted account, below its subscription. */
export const deletedPath = (session: Session, name: string): string =>
  `/providers/Microsoft.CognitiveServices/locations/${session.endpoints.location}/resourceGroups/torture/deletedAccounts/${name}`

/** A body for a new account with an identity. */
export const accountBody = (session: Session, name: string): object => ({
  location: session.endpoints.location,
  kind: 'OpenAI',
  sku: { name: 'S0' },
  identity: { type: 'SystemAssigned' },
  properties: { customSubDomainName: name },
})

/** Waits for the end of an operation that was answered with 202, since before nobody may rely on it. */
async function ended(session: Session, asked: Promise<Outcome>, path: string, endStatus: number): Promise<Outcome> {
  const first = await asked
  if (first.kind !== 'done') return first
  for (let tries = 0; tries < 500; tries += 1) {
    const now = await session.arm('GET', path)
    if (now.kind === 'unknown') return now
    if (now.status === endStatus) return first
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
  return { kind: 'unknown', status: first.status, message: 'it did not end' }
}

async function create(at: At): Promise<void> {
  const item: ShortAccount = {
    name: at.model.name('short'),
    state: new Known<ShortAccount['state']['possible'][number]>('absent'),
  }
  at.model.short.push(item)
  const made = await attempt(at, {
    name: 'create account',
    known: item.state,
    next: 'live',
    ask: () => at.session.arm('PUT', pathOf(item.name), accountBody(at.session, item.name)),
  })
  if (made.kind !== 'done') return
  const keys = await at.session.arm('POST', `${pathOf(item.name)}/listKeys`)
  if (keys.kind !== 'done') return
  item.apiKey = String(bodyOf(keys).key1)
  const bytes = trainingData(at.random, item.name)
  const form = uploadForm('its.jsonl', bytes)
  const uploaded = await at.session.data('POST', { name: item.name, apiKey: item.apiKey }, '/files', form)
  if (uploaded.kind === 'done') item.file = { id: bodyOf(uploaded).id, sha256: sha256(bytes) }
  else if (uploaded.kind === 'unknown') at.model.mayBeOrphans += 1
}

const inState = (at: At, state: string): ShortAccount | undefined =>
  pickOf(at.random, at.model.short, one => one.state.isFree && one.state.now === state)

export const accountOperations: readonly Operation[] = [
  {
    name: 'create account',
    weight: 2,
    attempt: at =>
      at.model.short.filter(({ state }) => !['absent', 'purged'].includes(state.now ?? '')).length < MOST_ACCOUNTS
        ? create(at)
        : undefined,
  },
  {
    name: 'delete account',
    weight: 1,
    attempt: at => {
      const one = inState(at, 'live')
      if (one === undefined) return undefined
      const ask = (): Promise<Outcome> =>
        ended(at.session, at.session.arm('DELETE', pathOf(one.name)), deletedPath(at.session, one.name), 200)
      return attempt(at, { name: 'delete account', known: one.state, next: 'deleted', ask })
    },
  },
  {
    name: 'restore account',
    weight: 1,
    attempt: at => {
      const one = inState(at, 'deleted')
      if (one === undefined) return undefined
      const body = { location: at.session.endpoints.location, properties: { restore: true } }
      const ask = (): Promise<Outcome> => at.session.arm('PUT', pathOf(one.name), body)
      return attempt(at, { name: 'restore account', known: one.state, next: 'live', ask })
    },
  },
  {
    name: 'purge account',
    weight: 1,
    attempt: at => {
      const one = inState(at, 'deleted')
      if (one === undefined) return undefined
      const path = deletedPath(at.session, one.name)
      const ask = (): Promise<Outcome> => ended(at.session, at.session.arm('DELETE', path), path, 404)
      return attempt(at, { name: 'purge account', known: one.state, next: 'purged', orphans: 2, ask })
    },
  },
  {
    name: 'tag account',
    weight: 2,
    attempt: at => {
      const account = pickOf(at.random, at.model.main, ({ tag }) => tag.isFree)
      if (account === undefined) return undefined
      const next = at.model.name('tag')
      const ask = (): Promise<Outcome> => at.session.arm('PATCH', pathOf(account.name), { tags: { round: next } })
      return attempt(at, { name: 'tag account', known: account.tag, next, ask })
    },
  },
]
