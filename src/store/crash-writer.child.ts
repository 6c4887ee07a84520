import { createSecretKey } from 'node:crypto'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { openDirectoryBlobs } from './directory-blobs.ts'
import { recordAuthenticator } from './record-mac.ts'
import { collection, put, remove } from './records.ts'
import { openSqliteRecords } from './sqlite-records.ts'

/**
 * Writes records and blobs until it is killed, and writes to standard output what was acknowledged: `commit <n>` once the records left/<n>
 * and right/<n> are stored, `blob <id>` once the blob is. The pair left/<n - 50> and right/<n - 50> is removed again, shredded.
 */
const [folder = '', round = ''] = process.argv.slice(2)
const authenticator = recordAuthenticator(createSecretKey(Buffer.alloc(32, 1)))
const records = await openSqliteRecords(join(folder, 'records.db'), { authenticator })
const blobs = await openDirectoryBlobs(join(folder, 'blobs'))
const left = collection<string>('left')
const right = collection<string>('right')

async function commitForever(): Promise<void> {
  const first = await records.count(collection('numbers'))
  for (let n = first; ; n++) {
    const id = String(n).padStart(8, '0')
    const old = String(n - 50).padStart(8, '0')
    const numbered = put(collection<number>('numbers'), id, n, 0)
    await records.commit([put(left, id, 'x'.repeat(n % 5000)), put(right, id, 'y'.repeat((n * 7) % 5000)), numbered])
    writeSync(1, `commit ${n}\n`)
    if (n >= 50 && n % 10 === 0) await records.commit([remove(left, old), remove(right, old)], { shred: true })
  }
}

async function* content(size: number): AsyncGenerator<Buffer> {
  for (let written = 0; written < size; written += 50_000)
    yield Buffer.alloc(Math.min(50_000, size - written), size % 256)
}

async function createForever(): Promise<void> {
  for (let n = 0; ; n++) {
    const size = 1 + ((n * 77_777) % 500_000)
    const id = `${round}-${n}-${size}`
    await blobs.create(id, content(size))
    writeSync(1, `blob ${id}\n`)
  }
}

await Promise.all([commitForever(), createForever()])
