import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cloudFor, sceneFor } from '../support/cloud.ts'
import { auditRecords, ownkey } from './ownkey.fixture.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

test('the log is read and verified the same through the running cloud and in the folder of a stopped one', async t => {
  const { cloud, dataDir, scene } = await sceneFor(t)
  const running = await auditRecords(dataDir)
  assert.ok(running.length > 5)
  assert.deepEqual(
    running.map(({ sequence }) => sequence),
    running.map((_, index) => index + 1),
  )
  const only = await auditRecords(dataDir, '--vault', scene.vault)
  assert.ok(only.length > 0 && only.length < running.length)
  assert.ok(only.every(({ resourceId }) => resourceId.endsWith(`/VAULTS/${scene.vault.toUpperCase()}`)))
  assert.deepEqual(await auditRecords(dataDir, '--since', '2999-01-01'), [])
  const verified = await ownkey('audit', 'verify', '--data-dir', dataDir)
  assert.equal(verified.code, 0, verified.errors)
  assert.match(
    verified.output,
    /^The audit log is whole: \d+ records.*\n {2}head {6}[0-9a-f]{64}\n.*by the running cloud/,
  )
  const known = /--known (\d+:[0-9a-f]{64})/.exec(verified.output)?.[1] ?? ''

  await cloud.stop()
  const stopped = await auditRecords(dataDir)
  assert.deepEqual(stopped.slice(0, running.length), running)
  const again = await ownkey('audit', 'verify', '--data-dir', dataDir, '--known', known)
  assert.equal(again.code, 0, again.errors)
  assert.match(again.output, /is the one that was known\n.*in the folder: no cloud runs/)
  const follow = await ownkey('audit', '--data-dir', dataDir, '--follow')
  assert.equal(follow.code, 1)
  assert.match(follow.errors, /start it/)
})

test('verify names the first record that was changed, removed or forged', async t => {
  const { cloud, dataDir } = await sceneFor(t)
  const before = await ownkey('audit', 'verify', '--data-dir', dataDir)
  const known = /--known (\d+:[0-9a-f]{64})/.exec(before.output)?.[1] ?? ''
  await cloud.stop()
  const file = join(dataDir, 'records.db')
  const whole = await readFile(file)
  const tampered = async (change: (database: DatabaseSync) => void): Promise<string> => {
    await writeFile(file, whole)
    await chmod(file, 0o600)
    const database = new DatabaseSync(file)
    change(database)
    database.close()
    const { code, output, errors } = await ownkey('audit', 'verify', '--data-dir', dataDir, '--known', known)
    assert.equal(code, 1, output + errors)
    return output
  }
  const { table, id, value } = columns(file)
  const at = (sequence: number): string => String(sequence).padStart(16, '0')
  const where = `WHERE collection = 'audit-entries' AND ${id} = ?`
  const edited = await tampered(database => {
    const row = database.prepare(`SELECT ${value} AS value FROM ${table} ${where}`).get(at(3)) as { value: string }
    const text = typeof row.value === 'string' ? row.value : Buffer.from(row.value).toString()
    const forged = text.replace(/"resultType":"\w+"/, '"resultType":"Forged"')
    assert.notEqual(forged, text)
    database.prepare(`UPDATE ${table} SET ${value} = ? ${where}`).run(forged, at(3))
  })
  assert.match(edited, /record 3: the entry was changed or moved[\s\S]*records 1 to 2 are as they were written/)
  const removed = await tampered(database => database.prepare(`DELETE FROM ${table} ${where}`).run(at(2)))
  assert.match(removed, /record 2: the entry is missing/)
  const emptied = await tampered(database =>
    database.prepare(`DELETE FROM ${table} WHERE collection IN ('audit-entries', 'audit-head')`).run(),
  )
  assert.match(emptied, /record 1: the head of the log is missing/)
})

function columns(file: string): { table: string; id: string; value: string } {
  const database = new DatabaseSync(file, { readOnly: true })
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[]
  for (const { name } of tables) {
    const names = (database.prepare(`PRAGMA table_info(${name})`).all() as { name: string }[]).map(one => one.name)
    if (names.includes('collection') && names.includes('value')) {
      database.close()
      return { table: name, id: 'id', value: 'value' }
    }
  }
  throw new Error('There is no table of records.')
}

test('a follower of the log sees each new record once, and not their own reads', async t => {
  const { dataDir, scene } = await sceneFor(t)
  const child = spawn(process.execPath, [cli, 'audit', '--data-dir', dataDir, '--follow', '--format', 'json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const seen: { sequence: number; operationName: string }[] = []
  createInterface({ input: child.stdout }).on('line', line => seen.push(JSON.parse(line) as (typeof seen)[number]))
  await until(() => seen.some(({ operationName }) => operationName === 'OwnKey/audit/read'))
  const quiet = seen.length
  await new Promise(resolve => setTimeout(resolve, 1600))
  assert.equal(seen.length, quiet)
  await scene.keys.createEcKey('followed')
  await until(() => seen.some(({ operationName }) => operationName === 'KeyCreate' && seen.length > quiet))
  child.kill('SIGINT')
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 0)
  assert.deepEqual(
    seen.map(({ sequence }) => sequence),
    seen.map((_, index) => index + 1),
  )
})

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('It did not come within 15 s.')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

test('a flood of calls without a token is counted, not recorded one by one', async t => {
  const { dataDir, cloud, scene } = await sceneFor(t)
  const url = `https://${scene.vault}${scene.endpoints.keyVaultSuffix}/keys?api-version=7.6`
  const flood = async (): Promise<void> => {
    for (let index = 0; index < 100; index++) await (await fetch(url)).arrayBuffer()
  }
  await Promise.all(Array.from({ length: 20 }, flood))
  await scene.keys.createEcKey('in-the-flood')
  await cloud.stop()
  const records = await auditRecords(dataDir)
  const refusals = records.filter(({ operationName }) => operationName === 'Authentication')
  const counted = refusals.filter(({ properties }) => properties['aggregatedCount'] !== undefined)
  const sum = counted.reduce((total, { properties }) => total + Number(properties['aggregatedCount']), 0)
  assert.ok(refusals.length < 100, `${refusals.length} records`)
  assert.ok(sum + refusals.length - counted.length >= 2000, `${sum} counted, ${refusals.length} records`)
  assert.deepEqual(counted[0]?.properties['callerIpAddresses'], ['127.0.0.1'])
  assert.ok(
    records.some(
      ({ operationName, properties }) => operationName === 'KeyCreate' && /in-the-flood/.test(String(properties['id'])),
    ),
  )
})

test('only the administrator of the cloud reads the log or moves the clock', async t => {
  const { endpoints, dataDir } = await cloudFor(t)
  const url = `${endpoints.resourceManager}/ownkey/audit`
  assert.equal((await fetch(url)).status, 401)
  const missing = await ownkey('clock', 'advance', '1d', '--data-dir', dataDir)
  assert.equal(missing.code, 1)
  assert.match(missing.errors, /start it with --clock-control/)
  const shown = await ownkey('clock', '--data-dir', dataDir)
  assert.deepEqual([shown.code, shown.errors], [0, ''])
  assert.match(shown.output, /^\d{4}-\d\d-\d\dT\S+Z, as on this machine\n$/)
  const folder = await ownkey('audit', '--data-dir', '/nowhere/at/all')
  assert.match(folder.errors, /no folder \/nowhere\/at\/all/)
})

test('the log is printed since a time, its newest records only, or as a table', async t => {
  const { dataDir, scene } = await sceneFor(t)
  await scene.keys.createEcKey('late')
  const all = await auditRecords(dataDir)
  const middle = all[Math.floor(all.length / 2)]?.time ?? ''
  const since = await auditRecords(dataDir, '--since', middle)
  const before = all.filter(({ time }) => time < middle).map(({ sequence }) => sequence)
  assert.ok(before.length > 0 && since.length > 0)
  assert.equal(since[0]?.sequence, before.length + 1)
  assert.equal((await auditRecords(dataDir, '--since', '1h'))[0]?.sequence, 1)
  const [last, ...more] = await auditRecords(dataDir, '--vault', scene.vault, '--last', '1')
  assert.deepEqual([last?.operationName, more.length], ['KeyCreate', 0])
  // Reading the log is recorded too, after the records that were asked for.
  for (const count of [1, 3]) assert.equal((await auditRecords(dataDir, '--last', String(count))).length, count)
  const table = await ownkey('audit', '--data-dir', dataDir, '--vault', scene.vault.toUpperCase())
  assert.equal(table.code, 0, table.errors)
  assert.match(table.output, /KeyCreate/)
  // Neither colours nor JSON where the output is not a terminal.
  for (const sign of ['\u001b', '"operationName"']) assert.ok(!table.output.includes(sign))
  for (const [words, message] of [
    [['--format', 'xml'], /use table or json/],
    [['--since', 'yesterday'], /is not a time: use for example/],
    [['--last', '-1'], /last/],
  ] as const) {
    const { code, errors } = await ownkey('audit', '--data-dir', dataDir, ...words)
    assert.ok(code > 0, words.join(' '))
    assert.match(errors, message)
  }
})
