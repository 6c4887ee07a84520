import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import type { Endpoints } from '../../src/base/endpoints.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { schemaVersion } from '../../src/store/sqlite-schema.ts'
import { auditRecords, ownkey } from '../audit/ownkey.fixture.ts'
import { ended, folderFor, say } from '../cli/command-line.fixture.ts'
import { refusedStart } from '../security/database-writer.ts'
import { Azure } from '../support/azure.ts'
import { filesBelow } from './folder.fixture.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folders = fileURLToPath(new URL('../data/folders/', import.meta.url))
/** `schema-<number>-<commit>.tar.gz`, made by that commit's program (scripts/make-folder.ts). */
const FOLDERS = (await readdir(folders)).filter(name => name.endsWith('.tar.gz')).toSorted()

/** az's own id, which every tenant knows. */
const AZ_CLIENT = '04b07795-8ddb-461a-bbee-02f9e1bf7b46'
/** Programs that did not remember their ports, so their clouds have to go on on the port in their key URIs. */
const PORT_NOT_KEPT = /365698e|ae204b6/

interface Expected {
  readonly administrator: { clientId: string; clientSecret: string; userName: string; password: string }
  readonly tenantId: string
  readonly subscriptionId: string
  readonly port: number
  readonly files: readonly { account: string; id: string; name: string; sha256: string }[]
  readonly job: string
  readonly deployment: string
}

function unpack(name: string, to: string): void {
  execFileSync('tar', ['-C', to, '--no-same-owner', '-xzf', join(folders, name)])
}

function schemaOf(folder: string): number {
  const database = new DatabaseSync(join(folder, 'records.db'), { readOnly: true })
  try {
    return Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  } finally {
    database.close()
  }
}

/** The administrator's user, which the first programs did not have: it can log in, and see and change what is there. */
async function personMayManage({
  authority,
  tenantId,
  resourceManager,
  subscriptionId,
  location,
  administrator,
}: Endpoints) {
  const { userName, password } = administrator
  const scope = `${resourceManager}/.default`
  const form = { grant_type: 'password', client_id: AZ_CLIENT, username: userName, password, scope }
  const answer = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams(form),
  })
  const { access_token: token } = (await answer.json()) as { access_token?: string }
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const at = `${resourceManager}/subscriptions/${subscriptionId}/resourceGroups`
  const groups = await fetch(`${at}?api-version=2025-04-01`, { headers })
  const { value } = (await groups.json()) as { value?: { name: string }[] }
  assert.ok(
    value?.some(({ name }) => name === 'tests'),
    'the person who administers sees no resource groups',
  )
  const body = JSON.stringify({ location })
  const made = await fetch(`${at}/of-a-person?api-version=2025-04-01`, { method: 'PUT', headers, body })
  assert.equal(made.status, 201)
  const log = await fetch(`${resourceManager}/ownkey/audit?limit=1`, { headers })
  assert.equal(log.status, 200)
}

type Shapes = Map<string, { readonly ids: Set<string>; readonly fields: Set<string> }>

/** The shapes of ids and the fields of records, by collection, except those in `but`. */
function shapesOf(folder: string, but?: string): Shapes {
  const rows = (from: string) => {
    const database = new DatabaseSync(join(from, 'records.db'), { readOnly: true })
    try {
      return database.prepare('SELECT collection, id, version, value FROM records').all()
    } finally {
      database.close()
    }
  }
  const keyOf = (row: Record<string, unknown>): string =>
    `${String(row['collection'])} ${String(row['id'])} ${String(row['version'])}`
  const known = new Set(but === undefined ? [] : rows(but).map(keyOf))
  const shapes: Shapes = new Map()
  for (const row of rows(folder)) {
    if (known.has(keyOf(row))) continue
    const [collection, id] = [String(row['collection']), String(row['id'])]
    const shape = shapes.get(collection) ?? { ids: new Set(), fields: new Set() }
    // Names are the user's; only the text between them is the program's.
    shape.ids.add(id.replaceAll(/[^/:]+/g, 'x'))
    for (const field of Object.keys(JSON.parse(String(row['value'])) as object)) shape.fields.add(field)
    shapes.set(collection, shape)
  }
  return shapes
}

const NEW_SHAPE =
  'Records that this program writes look different from those of the program that made the newest folder in test/data/folders. Would that program misread them? Then raise schemaVersion, add a migration, and make a folder of the new schema. If not, add the shape to HARMLESS.'
/** Shapes that the newest folder happens to lack, though its program reads them: `collection field` or `collection id-shape`. */
const HARMLESS = new Set<string>([])

function newShapes(released: Shapes, now: Shapes): string[] {
  return [...now].flatMap(([collection, { ids, fields }]) => {
    const known = released.get(collection)
    if (known === undefined) return HARMLESS.has(collection) ? [] : [collection]
    const found = [
      ...[...ids].filter(id => !known.ids.has(id)),
      ...[...fields].filter(field => !known.fields.has(field)),
    ]
    return found.map(shape => `${collection} ${shape}`).filter(shape => !HARMLESS.has(shape))
  })
}

const sealedFiles = async (folder: string) =>
  (await filesBelow(folder))
    .filter(({ path, isFolder }) => !isFolder && /\/(blobs\/|records\.(db|head)$|root\.key$)/.test(path))
    .map(({ path, bytes }) => `${path} ${createHash('sha256').update(bytes).digest('hex')}`)

test('there is a folder of each schema, and the migrations have no gap', () => {
  assert.deepEqual(
    MIGRATIONS.map(({ to }) => to),
    Array.from({ length: schemaVersion - 1 }, (_, step) => step + 2),
  )
  const schemas = new Set(FOLDERS.map(name => Number(/^schema-(\d+)-/.exec(name)?.[1])))
  assert.deepEqual(
    [...schemas],
    Array.from({ length: schemaVersion }, (_, step) => step + 1),
  )
})

for (const name of FOLDERS)
  test(`${name}: this program opens it, everything in it is there, and its administrator keeps their rights`, async t => {
    const folder = join(await folderFor(t), 'cloud')
    await mkdir(folder, { mode: 0o700 })
    unpack(name, folder)
    const expected = JSON.parse(await readFile(join(folder, 'expected.json'), 'utf8')) as Expected
    const port = PORT_NOT_KEPT.test(name) ? expected.port : 0
    const cloud = await startCloudProcess(folder, [
      '--new-ca',
      '--key-lease-seconds',
      '1',
      '--port',
      String(port),
      '--allow-ropc',
    ])
    t.after(() => cloud.stop())
    const { administrator, tenantId, subscriptionId } = expected
    assert.partialDeepStrictEqual(cloud.endpoints.administrator, administrator)
    assert.deepEqual([cloud.endpoints.tenantId, cloud.endpoints.subscriptionId], [tenantId, subscriptionId])

    const azure = await Azure.in(cloud.endpoints)
    for (const { account, id, name: filename, sha256 } of expected.files) {
      const { body } = await azure.arm('GET', azure.accountPath(account))
      assert.equal(body?.properties?.provisioningState, 'Succeeded')
      const reached = await azure.account(account)
      assert.equal((await reached.openai.files.retrieve(id)).filename, filename)
      assert.equal(
        createHash('sha256')
          .update(await reached.download(id))
          .digest('hex'),
        sha256,
        filename,
      )
    }
    const own = await azure.account('own')
    assert.equal((await own.openai.fineTuning.jobs.retrieve(expected.job)).status, 'cancelled')
    assert.ok((await own.chat(expected.deployment)).length > 0)

    // An administrator's work: records of the log, a vault, a key, an account under it, somebody's role, a tenant.
    assert.ok((await auditRecords(folder)).length > 10)
    const fresh = await azure.account('fresh')
    await (await azure.vault('kv-fresh')).createRsaKey('k1', { keySize: 2048 })
    await azure.policy('kv-fresh', 'add', fresh.principalId)
    assert.equal((await fresh.encrypt({ vault: 'kv-fresh', name: 'k1' })).status, 200)
    await fresh.upload('new in an old folder')
    const roles = await azure.arm('GET', '/providers/Microsoft.Authorization/roleAssignments', undefined, '2022-04-01')
    assert.equal(roles.status, 200)
    const principalId = await azure.administratorUserId()
    assert.notEqual(principalId, '', 'the directory does not show its people to the administrator')
    const token = await azure.credential.getToken('https://graph.microsoft.com/.default')
    const made = await fetch(`${cloud.endpoints.authority}/v1.0/applications`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token?.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ displayName: 'made by the old administrator' }),
    })
    assert.equal(made.status, 201, await made.text())

    await personMayManage(cloud.endpoints)

    const running = await ownkey('verify', '--data-dir', folder, '--whole')
    assert.equal(running.code, 0, running.output)
    await cloud.stop()
    assert.equal(schemaOf(folder), schemaVersion)
    if (name === FOLDERS.at(-1)) {
      const released = join(await folderFor(t), 'released')
      await mkdir(released)
      unpack(name, released)
      assert.deepEqual(newShapes(shapesOf(released), shapesOf(folder, released)), [], NEW_SHAPE)
    }
    assert.deepEqual(
      (await readdir(folder)).filter(one => one.includes('schema')),
      [],
      'nothing from before the migration stays',
    )
    const stopped = await ownkey('verify', '--data-dir', folder, '--whole')
    assert.equal(stopped.code, 0, stopped.output)
  })

test('every command refuses a folder of a newer program before anything in it changes', async t => {
  const folder = join(await folderFor(t), 'cloud')
  await mkdir(folder, { mode: 0o700 })
  unpack(FOLDERS.at(-1) ?? '', folder)
  const database = new DatabaseSync(join(folder, 'records.db'))
  database.exec(`PRAGMA user_version = ${schemaVersion + 1}`)
  database.close()
  const before = await sealedFiles(folder)
  const newer = new RegExp(
    `written by a newer OwnKey \\(schema ${schemaVersion + 1}, this one knows ${schemaVersion}\\)`,
    'u',
  )
  assert.match(await refusedStart(folder, '--new-ca'), newer)
  for (const words of [['audit'], ['audit', 'verify'], ['verify']]) {
    const said = await say([...words, '--data-dir', folder])
    assert.equal(said.code, 1)
    assert.match(said.err.replaceAll(/\s+/g, ' '), newer)
  }
  assert.deepEqual(await sealedFiles(folder), before)
})

for (const older of FOLDERS.slice(0, -1)) {
  const [, schema = '', commit = ''] = /^schema-(\d+)-([0-9a-f]+)/.exec(older) ?? []
  const hasHistory = spawnSync('git', ['-C', root, 'cat-file', '-e', `${commit}^{commit}`]).status === 0
  const skip = hasHistory ? false : 'needs the history of this repository: git fetch --unshallow'
  test(
    `the program ${commit}, of schema ${schema}, refuses a folder of today, and changes nothing in it`,
    { skip },
    async t => {
      const [program, folder] = [join(await folderFor(t), 'program'), join(await folderFor(t), 'cloud')]
      await mkdir(program)
      await mkdir(folder, { mode: 0o700 })
      const archive = execFileSync('git', ['-C', root, 'archive', commit], {
        maxBuffer: 2 ** 28,
      })
      execFileSync('tar', ['-C', program, '-xf', '-'], { input: archive })
      await symlink(join(root, 'node_modules'), join(program, 'node_modules'))
      unpack(FOLDERS.at(-1) ?? '', folder)
      const before = await sealedFiles(folder)
      const args = [join(program, 'src/cli.ts'), 'start', '--port', '0', '--data-dir', folder]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
      const said = await ended(child)
      assert.equal(said.code, 1, said.out)
      assert.match(said.err.replaceAll(/\s+/g, ' '), /written by a newer OwnKey \(schema 3, this one knows [12]\)/)
      assert.deepEqual(await sealedFiles(folder), before)
    },
  )
}

test('a migration that fails leaves the database as it was, with a copy beside it', async t => {
  const folder = join(await folderFor(t), 'cloud')
  await mkdir(folder, { mode: 0o700 })
  unpack(FOLDERS[0] ?? '', folder)
  const whole = join(await folderFor(t), 'whole')
  await cp(folder, whole, { recursive: true })
  const database = new DatabaseSync(join(folder, 'records.db'))
  database.exec(`UPDATE records SET value = json_set(value, '$.mac', 'ff') WHERE collection = 'audit-head'`)
  database.close()
  assert.match(await refusedStart(folder, '--new-ca'), /their MACs were taken away, or the head of the audit log/)
  assert.deepEqual([schemaOf(folder), (await readdir(folder)).includes('records.db.schema-1')], [1, true])
  await cp(join(whole, 'records.db'), join(folder, 'records.db'))
  const cloud = await startCloudProcess(folder, ['--new-ca'])
  await cloud.stop()
  assert.equal(schemaOf(folder), schemaVersion)
  assert.equal(
    (await readdir(folder)).some(one => one.includes('schema')),
    false,
  )
})
