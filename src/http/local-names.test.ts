import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const preload = new URL('./localhost.mjs', import.meta.url).href

async function inPreloadedNode(script: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--import', preload, '--input-type=module', '-e', script])
  return JSON.parse(stdout)
}

describe('localhost preload', () => {
  it('resolves names below localhost in every form of lookup, and leaves others alone', async () => {
    const answers = await inPreloadedNode(`
      import dns, { lookup } from 'node:dns'
      import { lookup as later } from 'node:dns/promises'
      const one = await new Promise(done => lookup('KV.vault.localhost.', (error, address, family) => done([address, family])))
      const all = await new Promise(done => dns.lookup('a.localhost', { all: true }, (error, list) => done(list)))
      const six = await later('a.localhost', { family: 6 })
      const other = await later('localhost.invalid').catch(error => error.code)
      console.log(JSON.stringify({ one, all, six, other: other === 'ENOTFOUND' || other === 'EAI_AGAIN' }))`)
    const v6 = { address: '::1', family: 6 }
    assert.deepEqual(answers, {
      one: ['127.0.0.1', 4],
      all: [{ address: '127.0.0.1', family: 4 }, v6],
      six: v6,
      other: true,
    })
  })
})
