import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse } from 'yaml'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { httpsServer, serve } from '../engines/hub.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'ownkey-seed-models-'))
after(() => rm(folder, { recursive: true, force: true }))
const dataDir = join(folder, 'cloud')
const seedFile = join(folder, 'seed.yaml')
await copyFile(EMBEDDED_BASE.path, join(folder, 'mine.gguf'))

const seed = (models: string): Promise<void> =>
  writeFile(
    seedFile,
    `models:
${models}
subscriptions:
  - displayName: OwnKey
    resourceGroups:
      - name: rg
        accounts:
          - name: with-base
            customSubDomainName: with-base
            deployments: [{ name: chat, model: of-the-seed }]
`,
  )

async function said(): Promise<string> {
  return (await readFile(join(dataDir, 'service.log'), 'utf8')).match(/^Seed [^]*?(?=^OwnKey)/gm)?.at(-1) ?? ''
}

async function startNow(): Promise<string> {
  const cloud = await startCloudProcess(dataDir, ['--seed', seedFile])
  await cloud.stop()
  return said()
}

async function refused(message: RegExp): Promise<void> {
  const { code, errors } = await ownkey('start', '--data-dir', dataDir, '--port', '0', '--seed', seedFile)
  assert.equal(code, 1)
  assert.match(errors.replaceAll(/\s+/g, ' '), message)
}

const entries = async () =>
  (
    parse(await readFile(join(dataDir, 'models.yaml'), 'utf8')) as {
      models: {
        name: string
        aliases: string[]
        file: string
        threads?: number
        gpuLayers?: string
        context?: number
      }[]
    }
  ).models

test('the base models of a seed are there before its deployments, fetched only from a source that it names', async t => {
  const server = await httpsServer(folder)
  t.after(() => server.close())
  process.env['NODE_EXTRA_CA_CERTS'] = server.caFile
  server.answers.set('/other.gguf', serve(await readFile(EMBEDDED_BASE.path)))
  await seed(`  - { name: mine, file: mine.gguf, licence: MIT, aliases: [of-the-seed], context: 512 }
  - { name: fetched, source: '${server.origin}/other.gguf', sha256: '${EMBEDDED_BASE.sha256}' }`)
  const first = await startNow()
  assert.match(first, /made {4}base model mine\n/)
  assert.match(first, /made {4}base model fetched \(fetched: https:/)
  assert.match(first, /made {4}.*chat/)
  assert.equal(server.seen.length, 1)
  const [mine, fetched] = await entries()
  assert.equal(mine?.file, join(folder, 'mine.gguf'))
  await stat(join(dataDir, fetched?.file ?? ''))
  const again = await startNow()
  assert.match(again, /0 made, 0 changed, 6 as they\s+were/)
  assert.equal(server.seen.length, 1)
})

test('what a seed says besides the weights is changed, and other weights are refused with the line', async () => {
  await seed(`  - { name: mine, file: mine.gguf, licence: Apache-2.0, aliases: [another], threads: 2, gpuLayers: max }`)
  assert.match(await startNow(), /changed base model mine\n/)
  const [changed] = await entries()
  assert.deepEqual(changed?.aliases, ['of-the-seed', 'another'])
  assert.deepEqual([changed?.threads, changed?.gpuLayers, changed?.context], [2, 'max', 512])
  await seed(`  - { name: fetched, file: mine.gguf }\n  - { name: mine, file: mine.gguf, sha256: '${'0'.repeat(64)}' }`)
  await refused(
    /seed\.yaml:3: models\[1\]: the base model mine failed: there is one already, and its file is another one/,
  )
  await seed(`  - { name: new, file: mine.gguf, sha256: '${'0'.repeat(64)}' }`)
  await refused(/seed\.yaml:2: models\[0\]: the base model new failed: .*another file than it should be/)
  await seed(`  - { name: new, file: gone.gguf }`)
  await refused(/seed\.yaml:2: models\[0\]: the base model new failed: There is no .*gone\.gguf/)
  assert.equal((await entries()).length, 2)
})

test('a seed for a folder in which a cloud runs changes none of its bases', async t => {
  const cloud = await startCloudProcess(dataDir)
  t.after(() => cloud.stop())
  await seed(`  - { name: late, file: mine.gguf }`)
  await refused(/is in use by another OwnKey/)
  assert.equal((await entries()).length, 2)
})
