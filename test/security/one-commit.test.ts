import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { auditRecords } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { cloudFor } from '../support/cloud.ts'
import { rowsIn } from './folder.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-one-commit-'))
after(() => rm(folder, { recursive: true, force: true }))
const control = join(folder, 'die-at')
process.env['OWNKEY_TEST_DIE_AT'] = control
process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
const cloud = await cloudFor({ after })
const azure = await Azure.in(cloud.endpoints)
const account = await azure.account('one-commit')
const file = await account.upload()
const graph = async (method: string, path: string, body?: object) => {
  const token = await azure.credential.getToken('https://graph.microsoft.com/.default')
  const response = await fetch(`${cloud.endpoints.authority}/v1.0${path}`, {
    method,
    headers: { authorization: `Bearer ${token?.token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return (await response.json()) as Record<string, unknown> & { passwordCredentials: object[] }
}
const application = await graph('POST', '/applications', { displayName: 'one commit' })
const longJob = { hyperparameters: { n_epochs: 50, batch_size: 1 } }
const jobs = account.openai.fineTuning.jobs
const running = async (): Promise<string> => {
  const id = await account.train(file, longJob)
  await account.jobIs(id, ['running'])
  return id
}
const isCancelled = async (id: string) => (await jobs.retrieve(id)).status === 'cancelled'

interface Change {
  readonly title: string
  readonly operationName: string
  /** Prepares it; resolves to the operation, and to a check whether it was done. */
  readonly prepare: () => Promise<{ act: () => Promise<unknown>; happened: () => Promise<boolean> }>
}

const changes: Change[] = [
  {
    title: 'a new secret of an application',
    operationName: 'Update application – Certificates and secrets management',
    prepare: async () => {
      const at = `/applications/${String(application['id'])}`
      const secrets = async () => (await graph('GET', at)).passwordCredentials.length
      const before = await secrets()
      return { act: () => graph('POST', `${at}/addPassword`, {}), happened: async () => (await secrets()) > before }
    },
  },
  {
    title: 'the cancel of a running job',
    operationName: 'Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/write',
    prepare: async () => {
      const id = await running()
      return { act: () => jobs.cancel(id), happened: () => isCancelled(id) }
    },
  },
  {
    title: 'the cancel of a waiting job',
    operationName: 'Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/write',
    prepare: async () => {
      await running()
      const id = await account.train(file, longJob)
      return { act: () => jobs.cancel(id), happened: () => isCancelled(id) }
    },
  },
]

for (const { title, operationName, prepare } of changes) {
  test(`R05: ${title} and its audit record are one commit· L5`, async () => {
    const { act, happened } = await prepare()
    const count = async () =>
      (await auditRecords(cloud.dataDir)).filter(
        record => record.operationName === operationName && record.resultType === 'Success',
      ).length
    let before = await count()
    for (let at = 1; ; at++) {
      assert.ok(at < 30)
      await writeFile(control, String(at))
      const ended = await act().then(
        () => true,
        () => false,
      )
      await rm(control)
      if (!ended) await cloud.restart('kill')
      const [done, records] = [await happened(), await count()]
      assert.equal(
        records > before,
        done,
        `after commit ${at}: ${done ? 'changed' : 'not changed'}, ${records - before} records`,
      )
      before = records
      if (done) break
    }
  })
}

/** The records about a tenant of that name, in the folder of a dead cloud. */
function tenantParts(name: string): Record<string, number> {
  const parts = (from: string, holds: (value: Record<string, unknown>) => boolean): number =>
    rowsIn(cloud.dataDir, from).filter(({ value }) => holds(value)).length
  const tenant = rowsIn(cloud.dataDir, 'entra.tenants').find(({ value }) => value.displayName === name)?.id ?? name
  const principal = rowsIn(cloud.dataDir, 'entra.principals').find(({ value }) => value.tenantId === tenant)?.id ?? name
  const isAudited = ({ entry }: Record<string, unknown>): boolean => {
    const { operationName = '', properties = {} } = (entry ?? {}) as { operationName?: string; properties?: object }
    return (
      operationName === 'OwnKey.Directory/tenants/write' &&
      'displayName' in properties &&
      properties.displayName === name
    )
  }
  return {
    tenant: parts('entra.tenants', ({ displayName }) => displayName === name),
    domain: parts('entra.tenants-by-domain', ({ tenantId }) => tenantId === tenant),
    application: parts('entra.applications', ({ displayName }) => displayName === `${name} administrator`),
    principal: parts('entra.principals', ({ tenantId }) => tenantId === tenant),
    owner: parts('arm.role-assignments', ({ principalId }) => principalId === principal),
    audited: parts('audit-entries', isAudited),
  }
}

test('R05: a tenant, its domain, its administrator, their role and the audit record are one commit· L5', async () => {
  for (let at = 1; ; at++) {
    assert.ok(at < 10)
    const displayName = `Tenant ${at}`
    await writeFile(control, String(at))
    const path = '/providers/OwnKey.Directory/tenants?api-version=2020-01-01'
    const reply = await azure.armRoot('POST', path, { properties: { displayName } }).catch(() => undefined)
    await rm(control)
    assert.ok(reply === undefined || reply.status === 201, JSON.stringify(reply?.body))
    await (reply === undefined ? cloud.kill() : cloud.stop())
    const parts = tenantParts(displayName)
    const isThere = parts['tenant'] === 1
    assert.deepEqual(new Set(Object.values(parts)), new Set([isThere ? 1 : 0]), JSON.stringify(parts))
    await cloud.restart()
    if (reply !== undefined) {
      assert.ok(isThere)
      break
    }
  }
})
