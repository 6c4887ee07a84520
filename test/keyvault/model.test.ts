import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { startCloud, type Cloud, type Reply } from './cloud.fixture.ts'

const DAY = 86_400_000
const RETENTION_DAYS = 7
const PAST = 1_000_000_000
const FUTURE = 4_000_000_000
const OPERATIONS = ['sign', 'verify'] as const

interface Attributes {
  readonly enabled: boolean
  readonly nbf?: number
  readonly exp?: number
  readonly tags?: Readonly<Record<string, string>>
  readonly key_ops: readonly string[]
}

/** A simple model of a vault: live and deleted keys with their versions, without purged ones. */
interface ModelKey {
  readonly versions: { id: string; attributes: Attributes }[]
  /** Milliseconds since 1970. */
  deletedAt: number | undefined
}

interface Model {
  readonly vault: string
  readonly keys: Map<string, ModelKey>
  /** The result of `backup`, with what it must restore. */
  readonly backups: { name: string; value: string; versions: ModelKey['versions'] }[]
  now: number
}

type Change = Partial<Omit<Attributes, 'key_ops'>> & { readonly key_ops?: readonly string[] }
type Kind = 'rotate' | 'get' | 'use' | 'delete' | 'recover' | 'purge' | 'lists' | 'backup' | 'getDeleted'
type Step =
  | { readonly kind: Kind; readonly name: string }
  | { readonly kind: 'create'; readonly name: string; readonly change: Change }
  | { readonly kind: 'update'; readonly name: string; readonly version: number; readonly change: Change }
  | { readonly kind: 'restore'; readonly backup: number }
  | { readonly kind: 'wait'; readonly days: number }

const name = fc.constantFrom('a', 'a', 'b', 'B')
const change = fc.record(
  {
    enabled: fc.boolean(),
    nbf: fc.constantFrom(1, PAST, FUTURE - 1),
    exp: fc.constantFrom(PAST + 1, FUTURE),
    tags: fc.constantFrom({}, { a: 'b' }, { a: '', c: 'd' }),
    key_ops: fc.constantFrom(['sign'], ['verify'], ['sign', 'verify']),
  },
  { requiredKeys: [] },
)
const KINDS = ['rotate', 'get', 'use', 'delete', 'recover', 'purge', 'lists', 'backup', 'getDeleted'] as const
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom(...KINDS), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), name, change }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('update' as const), name, version: fc.nat(3), change }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore' as const), backup: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), days: fc.constantFrom(1, 3, 8, 8) }) },
)

let cloud: Cloud
let vaults = 0
let waited = 0

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

test('the vault and a small model of it agree on any sequence of operations', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), async steps => {
      const vault = `kv-model-${vaults++}`
      await cloud.vault(vault, { softDeleteRetentionInDays: RETENTION_DAYS })
      const model: Model = { vault, keys: new Map(), backups: [], now: Date.now() + waited }
      for (const one of steps) await agree(model, one)
      await listsAgree(model)
    }),
    { numRuns: Number(process.env['OWNKEY_MODEL_RUNS'] ?? 60) },
  )
  assert.equal((await cloud.audit.verify()).ok, true)
})

/** Does one step in both, and compares the results. */
async function agree(model: Model, one: Step): Promise<void> {
  if (one.kind === 'wait') return wait(model, one.days)
  if (one.kind === 'restore') return restore(model, model.backups[one.backup])
  if (one.kind === 'lists') return listsAgree(model)
  const key = model.keys.get(one.name.toLowerCase())
  const live = key?.deletedAt === undefined ? key : undefined
  const deleted = key?.deletedAt === undefined ? undefined : key
  const newest = live?.versions.at(-1)
  const send = (method: string, path: string, body?: object): Promise<Reply> =>
    cloud.call(model.vault, method, path, body === undefined ? {} : { body })
  const same = (reply: Reply, expected: number): Reply => {
    assert.equal(reply.status, expected, `${JSON.stringify(one)}: ${JSON.stringify(reply.body)}`)
    return reply
  }
  const path = `/keys/${one.name}`
  switch (one.kind) {
    case 'create':
      return create(model, one, deleted !== undefined, same)
    case 'rotate': {
      const reply = same(await send('POST', `${path}/rotate`), !newest ? 404 : newest.attributes.enabled ? 200 : 403)
      // A rotation takes over what a version may do and its tags, not its dates.
      const { tags, key_ops } = newest?.attributes ?? { key_ops: [] }
      if (reply.status === 200) added(model, one.name, reply, { enabled: true, key_ops, ...(tags ? { tags } : {}) })
      return
    }
    case 'get': {
      const reply = same(await send('GET', path), !newest ? 404 : newest.attributes.enabled ? 200 : 403)
      if (reply.status === 200 && newest) sameVersion(reply.body, newest)
      return
    }
    case 'use':
      return use(model, one.name, live)
    case 'update': {
      const version = live?.versions[one.version]
      const wanted = version && merged(version.attributes, one.change)
      const valid = wanted !== undefined && inOrder(wanted)
      const sent = await send('PATCH', `${path}/${version?.id ?? '0'.repeat(32)}`, bodyOf(one.change))
      const reply = same(sent, wanted === undefined ? 404 : valid ? 200 : 400)
      if (valid && version) version.attributes = wanted
      if (valid && version) sameVersion(reply.body, version)
      return
    }
    case 'delete':
      same(await send('DELETE', path), live === undefined ? 404 : 200)
      if (live) live.deletedAt = model.now
      return
    case 'getDeleted': {
      const reply = same(await send('GET', `/deletedkeys/${one.name}`), deleted === undefined ? 404 : 200)
      const last = deleted?.versions.at(-1)
      if (last) sameVersion(reply.body, last)
      return
    }
    case 'recover':
      same(await send('POST', `/deletedkeys/${one.name}/recover`), deleted === undefined ? 404 : 200)
      if (deleted) deleted.deletedAt = undefined
      return
    case 'purge':
      same(await send('DELETE', `/deletedkeys/${one.name}`), deleted === undefined ? 404 : 204)
      if (deleted) model.keys.delete(one.name.toLowerCase())
      return
    case 'backup': {
      const reply = same(await send('POST', `${path}/backup`), live === undefined ? 404 : 200)
      const versions = structuredClone(live?.versions ?? [])
      if (live) model.backups.push({ name: one.name.toLowerCase(), value: reply.body.value, versions })
    }
  }
}

async function create(
  model: Model,
  { name: keyName, change: given }: Extract<Step, { kind: 'create' }>,
  isTaken: boolean,
  same: (reply: Reply, expected: number) => Reply,
): Promise<void> {
  const attributes = merged({ enabled: true, key_ops: OPERATIONS }, given)
  const body = { kty: 'EC', ...bodyOf(given) }
  const sent = await cloud.call(model.vault, 'POST', `/keys/${keyName}/create`, { body })
  const reply = same(sent, !inOrder(attributes) ? 400 : isTaken ? 409 : 200)
  if (reply.status === 200) added(model, keyName, reply, attributes)
}

/** Each version signs and verifies if its state, operations and dates allow it. */
async function use({ vault, now }: Model, keyName: string, live: ModelKey | undefined): Promise<void> {
  const value = Buffer.alloc(32).toString('base64url')
  for (const { id, attributes } of live?.versions ?? []) {
    const { enabled, key_ops, nbf = 0, exp = Infinity } = attributes
    const inTime = nbf * 1000 <= now && now < exp * 1000
    for (const operation of OPERATIONS) {
      const body =
        operation === 'sign' ? { alg: 'ES256', value } : { alg: 'ES256', digest: value, value: value.repeat(2) }
      const { status } = await cloud.call(vault, 'POST', `/keys/${keyName}/${id}/${operation}`, { body })
      const may = enabled && key_ops.includes(operation) && (operation === 'verify' || inTime)
      // The text is not a signature, so the answer is 400 for its length, or false.
      assert.equal(status === 403, !may, `${operation} of ${JSON.stringify(attributes)}: ${status}`)
    }
  }
}

async function restore(model: Model, backup: Model['backups'][number] | undefined): Promise<void> {
  if (backup === undefined) return
  const { status } = await cloud.call(model.vault, 'POST', '/keys/restore', { body: { value: backup.value } })
  const isTaken = model.keys.has(backup.name)
  assert.equal(status, isTaken ? 409 : 200)
  if (!isTaken) model.keys.set(backup.name, { versions: structuredClone(backup.versions), deletedAt: undefined })
}

async function wait(model: Model, days: number): Promise<void> {
  await cloud.advance(days)
  waited += days * DAY
  model.now += days * DAY
  for (const [id, { deletedAt = Infinity }] of model.keys) {
    if (deletedAt + RETENTION_DAYS * DAY <= model.now) model.keys.delete(id)
  }
}

/** Tags and operations are replaced, dates and `enabled` where they are given. */
function merged(before: Attributes, given: Change): Attributes {
  return { ...before, ...given, key_ops: given.key_ops ?? before.key_ops }
}

function inOrder({ nbf = -1, exp = Infinity }: Attributes): boolean {
  return nbf < exp
}

function bodyOf({ tags, key_ops, ...attributes }: Change): object {
  return { attributes, ...(tags ? { tags } : {}), ...(key_ops ? { key_ops } : {}) }
}

function added(model: Model, keyName: string, reply: Reply, attributes: Attributes): void {
  const id = keyName.toLowerCase()
  const key = model.keys.get(id) ?? { versions: [], deletedAt: undefined }
  const version = { id: reply.body.key.kid.split('/').at(-1), attributes }
  key.versions.push(version)
  model.keys.set(id, key)
  sameVersion(reply.body, version)
}

function sameVersion(body: Reply['body'], { id, attributes }: ModelKey['versions'][number]): void {
  const { enabled, nbf, exp, tags, key_ops } = attributes
  assert.equal((body.key?.kid ?? body.kid).split('/').at(-1), id)
  const shown = {
    enabled: body.attributes.enabled,
    nbf: body.attributes.nbf,
    exp: body.attributes.exp,
    tags: body.tags,
  }
  assert.deepEqual(shown, { enabled, nbf, exp, tags })
  if (body.key !== undefined) assert.deepEqual(body.key.key_ops, key_ops)
}

async function listsAgree({ vault, keys }: Model): Promise<void> {
  const listed = async (path: string): Promise<Reply['body'][]> => (await cloud.call(vault, 'GET', path)).body.value
  const names = async (path: string): Promise<string[]> =>
    (await listed(path)).map(({ kid }: { kid: string }) => (kid.split('/')[4] ?? '').toLowerCase()).sort()
  const expected = (isDeleted: boolean): string[] =>
    [...keys].flatMap(([id, { deletedAt }]) => ((deletedAt !== undefined) === isDeleted ? [id] : [])).sort()
  assert.deepEqual(await names('/keys'), expected(false))
  assert.deepEqual(await names('/deletedkeys'), expected(true))
  for (const [id, { versions, deletedAt }] of keys) {
    if (deletedAt !== undefined) continue
    const items = await listed(`/keys/${id}/versions`)
    assert.equal(items.length, Math.min(versions.length, 25))
    for (const item of items) {
      const version = versions.find(one => item.kid.endsWith(`/${one.id}`))
      assert.ok(version)
      sameVersion(item, version)
    }
  }
}
