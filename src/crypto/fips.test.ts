import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { getFips } from 'node:crypto'
import { test } from 'node:test'
import { fipsStatus } from './fips.ts'

const module = new URL('fips.ts', import.meta.url).href

if (getFips() === 1) {
  test('with a FIPS module the status is active', () => {
    assert.equal(fipsStatus(), 'active')
  })
} else {
  test('without FIPS mode the status is off', () => {
    assert.equal(fipsStatus(), 'off')
  })

  test('FIPS mode without a FIPS module is broken, though getFips() says 1', () => {
    const script = `import { getFips, setFips } from 'node:crypto'
    import { fipsStatus } from '${module}'
    setFips(true)
    process.stdout.write(getFips() + ' ' + fipsStatus())`
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
    assert.equal(output, '1 broken')
  })
}
