import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KeyRingTampered } from './key-ring-tampered.ts'
import { KeyUnavailable } from './key-unavailable.ts'
import { untilRefused } from './until-refused.ts'

const refused = (): Promise<never> =>
  Promise.reject(new KeyUnavailable('AccessDenied', 'https://kv.vault.localhost/keys/cmk/1'))

describe('until refused', () => {
  it('asks no more after the first refusal', async () => {
    const opener = untilRefused()
    assert.equal(await opener(async () => 'open'), 'open')
    assert.equal(await opener(refused), undefined)
    let asked = 0
    for (let n = 0; n < 3; n++) assert.equal(await opener(async () => (asked += 1)), undefined)
    assert.equal(asked, 0)
    assert.equal(await untilRefused()(async () => 'another request asks anew'), 'another request asks anew')
  })

  it('leaves out entries under a key ring that was tampered with', async () => {
    assert.equal(await untilRefused()(() => Promise.reject(new KeyRingTampered('a row was put back'))), undefined)
  })

  it('passes other failures on', async () => {
    const opener = untilRefused()
    await assert.rejects(
      opener(() => Promise.reject(new Error('damaged'))),
      /damaged/,
    )
    assert.equal(await opener(async () => 'open'), 'open')
  })

  it('gives others their turn while a long list is opened', async () => {
    const opener = untilRefused()
    let turns = 0
    const ticking = setInterval(() => (turns += 1), 1)
    for (let n = 0; n < 200; n++)
      await opener(async () => {
        const end = performance.now() + 0.5
        while (performance.now() < end);
      })
    clearInterval(ticking)
    assert.ok(turns >= 10, `${turns} turns`)
  })
})
