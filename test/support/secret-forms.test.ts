import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SecretSearch } from './secret-forms.ts'

test('a secret is found in whatever form it stands there, also within something longer', () => {
  const secret = randomBytes(32)
  const search = new SecretSearch({ own: secret, other: randomBytes(32) })
  const texts = [
    secret.toString('latin1'),
    secret.toString('hex').toUpperCase(),
    JSON.stringify([...secret]),
    JSON.stringify({ d: secret.toString('base64url') }),
    String(BigInt(`0x${secret.toString('hex')}`)),
  ]
  for (let before = 0; before < 7; before++) {
    const longer = Buffer.concat([randomBytes(before), secret, randomBytes(5)])
    texts.push(longer.toString('base64'), longer.toString('base64url'))
  }
  for (const text of texts) assert.deepEqual(search.in(`before ${text} after`), ['own'], text)
  assert.deepEqual(search.in(`${randomBytes(4096).toString('base64')} and ${randomBytes(64).toString('hex')}`), [])
})
