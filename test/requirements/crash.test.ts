import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Crashing } from '../truth/crash.ts'

/** `npm run truth` plays all. */
const PLAYED = ['enable by key URI', 'another version', 'disable']
const crashing = await Crashing.open({ after })

for (const name of PLAYED) {
  test(`R18, R29: the service dies at each of its commits in the change '${name}'; afterwards everything is consistent`, async t => {
    const { deaths, wrong } = await crashing.dieAtEveryCommit(name)
    t.diagnostic(`${name}: ${deaths} deaths, at the vault's audit records among others`)
    assert.ok(deaths > 2)
    assert.deepEqual(wrong, [])
  })
}
