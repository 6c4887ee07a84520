import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { createGzip } from 'node:zlib'
import { Azure, refusal, untilAllowed, untilRefused } from '../support/azure.ts'
import { keyedAccount } from '../support/causes.ts'
import { cloudFor } from '../support/cloud.ts'
import { outsideVault } from '../support/outside-vault.ts'
import type { Trouble } from '../support/troubles.ts'

const MIB = 1024 * 1024
const outside = await outsideVault({ after })
const cloud = await cloudFor({ after }, ['--outside-vaults', outside.pattern])
const azure = await Azure.in(cloud.endpoints)
const { account } = await keyedAccount(azure, 'endless', outside)
const file = await account.upload('kept under a key from outside')
const residentMiB = async (): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${cloud.pid}/status`, 'utf8'))?.[1]) / 1024

/** An endless answer, as fast as it is read. */
const endless =
  (isZipped: boolean): Trouble =>
  (_, outgoing) => {
    const headers = { 'content-type': 'application/json', ...(isZipped ? { 'content-encoding': 'gzip' } : {}) }
    outgoing.writeHead(200, headers)
    const body = isZipped ? createGzip() : outgoing
    if (body !== outgoing) body.pipe(outgoing)
    const blanks = Buffer.alloc(MIB, ' ')
    const more = (): void => {
      while (!outgoing.destroyed && body.write(blanks));
      if (!outgoing.destroyed) body.once('drain', more)
    }
    outgoing.on('error', () => {})
    more()
    return 'handled'
  }

for (const isZipped of [false, true])
  test(`a vault whose ${isZipped ? 'unpacked answer' : 'answer'} never ends is refused, and costs no memory`, async t => {
    await untilAllowed(() => account.download(file))
    const before = await residentMiB()
    outside.trouble = endless(isZipped)
    const began = performance.now()
    const { message, code } = await untilRefused(() => account.download(file), 20)
    const more = (await residentMiB()) - before
    t.diagnostic(`refused after ${(performance.now() - began).toFixed(0)} ms, with ${more.toFixed(0)} MiB more`)
    assert.equal(code, 'CustomerManagedKeyUnavailable')
    assert.match(message, /\(Refused\)/)
    assert.ok(more < 150, `${more.toFixed(0)} MiB more`)
    // The connection is closed, too.
    assert.equal((await refusal(() => account.download(file)))?.status, 403)
    outside.trouble = () => 'pass'
    await untilAllowed(() => account.download(file))
  })
