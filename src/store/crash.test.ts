import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createSecretKey } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDirectoryBlobs } from './directory-blobs.ts'
import { lockFolder } from './folder-lock.ts'
import { recordAuthenticator } from './record-mac.ts'
import { collection } from './records.ts'
import { openSqliteRecords } from './sqlite-records.ts'
import { temporaryFolder } from './temporary-folder.ts'

const authenticator = recordAuthenticator(createSecretKey(Buffer.alloc(32, 1)))
const folder = temporaryFolder()

const started: ChildProcess[] = []
// Also when a test fails: otherwise, whoever waits for their pipes would never end.
after(() => started.forEach(child => child.kill('SIGKILL')))

function start(program: string, ...args: string[]): ChildProcess {
  const stdio = ['pipe', 'pipe', 'inherit'] as const
  const child = spawn(process.execPath, [join(import.meta.dirname, program), ...args], { stdio: [...stdio] })
  started.push(child)
  return child
}

async function firstLine(child: ChildProcess): Promise<string> {
  const line = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')])
  return String(line[0]).trim()
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

/** What the writer acknowledged before it was killed. */
async function crash(path: string, round: number): Promise<string[]> {
  const child = start('crash-writer.child.ts', path, `round-${round}`)
  let said = ''
  const working = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', data => {
      said += String(data)
      if (said.includes('blob ') && said.includes('commit ')) resolve()
    })
    child.once('close', () => reject(new Error('The writer ended by itself.')))
  })
  const closed = once(child, 'close')
  await working
  await sleep(20 + Math.random() * 150)
  await kill(child)
  await closed
  return said.split('\n').slice(0, -1)
}

test('after kill -9 everything acknowledged is there, and nothing is half there', async () => {
  const path = join(folder, 'crash')
  let commits = 0
  let last = -1
  for (let round = 0; round < 4; round++) {
    const said = await crash(path, round)
    // It opens only where all records are, as a set, those of its head: both stand or fall with a commit.
    const records = await openSqliteRecords(join(path, 'records.db'), { authenticator })
    assert.deepEqual((await records.verify()).tampered, [])
    const present = await records.count(collection('numbers'))
    const acknowledged = said.filter(line => line.startsWith('commit ')).map(line => Number(line.slice(7)))
    last = Math.max(last, ...acknowledged)
    commits += acknowledged.length
    // At most the one commit under way may be there without its message.
    assert.ok(present === last + 1 || present === last + 2, `${present} records, ${last + 1} acknowledged`)
    const left = await records.list(collection<string>('left'), { limit: 100_000 })
    const right = await records.list(collection<string>('right'), { limit: 100_000 })
    assert.deepEqual(
      left.map(({ id }) => id),
      right.map(({ id }) => id),
    )
    for (const { id, value } of left) assert.equal(value.length, Number(id) % 5000)
    await records.close()

    const blobs = await openDirectoryBlobs(join(path, 'blobs'))
    const ids = await Array.fromAsync(blobs.list())
    const promised = said.filter(line => line.startsWith('blob ')).map(line => line.slice(5))
    assert.ok(promised.length > 0)
    assert.deepEqual(
      promised.filter(id => !ids.includes(id)),
      [],
    )
    for (const id of ids) {
      const size = Number(id.split('-').at(-1))
      const reader = await blobs.open(id)
      assert.ok((await reader?.read(0, size + 1))?.equals(Buffer.alloc(size, size % 256)))
      await reader?.close()
    }
    assert.deepEqual(readdirSync(join(path, 'blobs', 'incoming')), [])
  }
  assert.ok(commits > 20, `only ${commits} commits were tried`)
})

test('a folder that another process has is refused with its number, and taken over when it is killed', async () => {
  const path = join(folder, 'locked')
  const holder = start('lock-holder.child.ts', path)
  assert.equal(await firstLine(holder), 'locked')
  await assert.rejects(
    lockFolder(path),
    new RegExp(`in use by another OwnKey, process ${holder.pid}\\. Stop that one`, 'u'),
  )
  await kill(holder)
  const lock = await lockFolder(path)
  assert.equal(readFileSync(join(path, 'lock.pid'), 'utf8'), `${process.pid}\n`)
  await assert.rejects(lockFolder(path), /in use/u)
  const late = start('lock-holder.child.ts', path)
  assert.match(await firstLine(late), new RegExp(`process ${process.pid}\\.`, 'u'))
  await lock.release()
  await lock.release()
  await (await lockFolder(path)).release()
})

test('of several that start at once one wins', async () => {
  const path = join(folder, 'race')
  const children = Array.from({ length: 4 }, () => start('lock-holder.child.ts', path))
  const answers = await Promise.all(children.map(firstLine))
  assert.equal(answers.filter(answer => answer === 'locked').length, 1)
  assert.equal(answers.filter(answer => answer.includes('in use')).length, 3)
  await Promise.all(children.filter(child => child.exitCode === null).map(kill))
})
