import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cloudFor } from '../support/cloud.ts'
import { tokenRequest } from '../support/graph.ts'
import { answerOf, signIns } from '../support/sign-in.ts'
import { alertOf } from '../support/sign-in-browser.ts'

const cloud = await cloudFor({ after })
const { administrator } = cloud.endpoints
const { attempt, newBrowser, signedIn } = signIns(cloud.endpoints)
/** The administrator has signed in with it once. */
const known = newBrowser()
await signedIn(known)

const withSecret = (client_secret: string) =>
  tokenRequest(cloud.endpoints, {
    grant_type: 'client_credentials',
    client_id: administrator.clientId,
    client_secret,
    scope: 'https://vault.azure.net/.default',
  })

async function guess(userName: string, times: number): Promise<Set<number>> {
  const browser = newBrowser()
  const page = await browser.go(attempt().url)
  const statuses = new Set<number>()
  for (let n = 0; n < times; n++) statuses.add((await browser.signIn(page, userName, `guess ${n}`)).status)
  return statuses
}

test("twelve wrong secrets under the administrator's id lock nobody out, nor do two hundred at a time", async () => {
  const guesses = await Promise.all(Array.from({ length: 12 }, (_, n) => withSecret(`guess ${n}`)))
  assert.deepEqual(new Set(guesses.map(({ status }) => status)), new Set([401]))
  assert.equal((await withSecret(administrator.clientSecret)).status, 200)
  // After a restart nobody has signed in yet, so the right secret waits behind the wrong ones, which cost little.
  await cloud.restart()
  const flood = Array.from({ length: 200 }, (_, n) => withSecret(`guess ${n}`))
  const began = performance.now()
  assert.equal((await withSecret(administrator.clientSecret)).status, 200)
  assert.ok(performance.now() - began < 10_000)
  await Promise.all(flood)
})

test('sixty unknown names from an address do not shut out a person who signs in from there', async () => {
  const names = Array.from({ length: 60 }, (_, n) => `nobody-${n}@ownkey.localhost`)
  const all = (async () => {
    for (const name of names) await guess(name, 1)
  })()
  await all
  const began = performance.now()
  assert.match((await signedIn(newBrowser())).code, /./)
  assert.ok(performance.now() - began < 10_000)
})

test('a browser that a person has signed in with takes the password while others guess at the name', async () => {
  assert.ok((await guess(administrator.userName, 12)).has(401))
  const stranger = newBrowser()
  const refused = await stranger.signIn(
    await stranger.go(attempt().url),
    administrator.userName,
    administrator.password,
  )
  assert.equal(refused.status, 401)
  const page = await known.go(attempt({ prompt: 'login' }).url)
  assert.match(
    answerOf(await known.signIn(page, administrator.userName, administrator.password)).get('code') ?? '',
    /./,
  )
})

test('a known browser of one person does not help to guess at another', async () => {
  const page = await known.go(attempt({ prompt: 'login' }).url)
  let last: string | undefined
  for (let n = 0; n < 8; n++) last = alertOf(await known.signIn(page, 'other@ownkey.localhost', `guess ${n}`))
  assert.match(last ?? '', /try again in \d+ seconds/)
})
