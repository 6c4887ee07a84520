import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { startCloud, type Cloud, type Reply } from './cloud.fixture.ts'

/** A vault as anybody would draw it on a board. */
interface ModelKey {
  readonly versions: { id: string; enabled: boolean }[]
  deleted: boolean
}

type Step =
  | {
      readonly kind: 'create' | 'rotate' | 'get' | 'sign' | 'delete' | 'recover' | 'purge' | 'lists'
      readonly name: string
    }
  | { readonly kind: 'enable'; readonly name: string; readonly version: number; readonly enabled: boolean }

const name = fc.constantFrom('a', 'b', 'B')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('create', 'rotate', 'get', 'sign', 'delete', 'recover', 'purge', 'lists'), name }),
  fc.record({ kind: fc.constant('enable' as const), name, version: fc.nat(3), enabled: fc.boolean() }),
)

let cloud: Cloud
let vaults = 0

before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

test('for any sequence of operations, the vault and a small model of it agree', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async steps => {
      const vault = `kv-model-${vaults++}`
      await cloud.vault(vault)
      const model = new Map<string, ModelKey>()
      for (const one of steps) await agree(vault, model, one)
      await agree(vault, model, { kind: 'lists', name: 'a' })
    }),
    { numRuns: 60 },
  )
  assert.equal((await cloud.audit.verify()).ok, true)
})

async function agree(vault: string, model: Map<string, ModelKey>, one: Step): Promise<void> {
  const id = one.name.toLowerCase()
  const key = model.get(id)
  const live = key?.deleted === false ? key : undefined
  const send = (method: string, path: string, body?: object): Promise<Reply> =>
    cloud.call(vault, method, path, body === undefined ? {} : { body })
  const same = ({ status }: Reply, expected: number) => assert.equal(status, expected, JSON.stringify(one))
  switch (one.kind) {
    case 'create': {
      const reply = await send('POST', `/keys/${one.name}/create`, { kty: 'EC' })
      same(reply, key?.deleted ? 409 : 200)
      if (!key?.deleted) added(model, id, reply)
      return
    }
    case 'rotate': {
      const reply = await send('POST', `/keys/${one.name}/rotate`)
      const enabled = live?.versions.at(-1)?.enabled
      same(reply, live === undefined ? 404 : enabled ? 200 : 403)
      if (enabled) added(model, id, reply)
      return
    }
    case 'get': {
      const reply = await send('GET', `/keys/${one.name}`)
      const newest = live?.versions.at(-1)
      same(reply, newest === undefined ? 404 : newest.enabled ? 200 : 403)
      if (newest?.enabled) assert.ok(reply.body.key.kid.endsWith(`/${newest.id}`))
      return
    }
    case 'sign': {
      const value = Buffer.alloc(32).toString('base64url')
      for (const version of live?.versions ?? []) {
        same(
          await send('POST', `/keys/${one.name}/${version.id}/sign`, { alg: 'ES256', value }),
          version.enabled ? 200 : 403,
        )
      }
      return
    }
    case 'enable': {
      const version = live?.versions[one.version]
      const path = `/keys/${one.name}/${version?.id ?? '0'.repeat(32)}`
      same(await send('PATCH', path, { attributes: { enabled: one.enabled } }), version === undefined ? 404 : 200)
      if (version !== undefined) version.enabled = one.enabled
      return
    }
    case 'delete':
      same(await send('DELETE', `/keys/${one.name}`), live === undefined ? 404 : 200)
      if (live !== undefined) live.deleted = true
      return
    case 'recover':
      same(await send('POST', `/deletedkeys/${one.name}/recover`), key?.deleted ? 200 : 404)
      if (key !== undefined) key.deleted = false
      return
    case 'purge':
      same(await send('DELETE', `/deletedkeys/${one.name}`), key?.deleted ? 204 : 404)
      if (key?.deleted) model.delete(id)
      return
    case 'lists':
      await listsAgree(vault, model)
  }
}

function added(model: Map<string, ModelKey>, id: string, reply: Reply): void {
  const key = model.get(id) ?? { versions: [], deleted: false }
  key.versions.push({ id: reply.body.key.kid.split('/').at(-1), enabled: true })
  model.set(id, key)
}

async function listsAgree(vault: string, model: Map<string, ModelKey>): Promise<void> {
  const names = async (path: string): Promise<string[]> => {
    const { body } = await cloud.call(vault, 'GET', path)
    return body.value.map(({ kid }: { kid: string }) => (kid.split('/')[4] ?? '').toLowerCase()).sort()
  }
  const expected = (deleted: boolean) =>
    [...model]
      .filter(([, key]) => key.deleted === deleted)
      .map(([id]) => id)
      .sort()
  assert.deepEqual(await names('/keys'), expected(false))
  assert.deepEqual(await names('/deletedkeys'), expected(true))
  for (const [id, key] of model) {
    if (key.deleted) continue
    const { body } = await cloud.call(vault, 'GET', `/keys/${id}/versions`)
    const listed = body.value.map((item: { kid: string; attributes: { enabled: boolean } }) => ({
      id: item.kid.split('/').at(-1),
      enabled: item.attributes.enabled,
    }))
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
    assert.deepEqual(listed.sort(byId), [...key.versions].sort(byId))
  }
}
