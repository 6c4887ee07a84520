import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { deletedPath } from './account-operations.ts'
import type { At } from './at.ts'
import { download, sha256 } from './data-operations.ts'
import { pathOf } from './engine-operations.ts'
import { KEY, SCRATCH, setPolicy, vaultPath } from './key-operations.ts'
import type { MainAccount, ShortAccount, VaultKey } from './model.ts'
import { bodyOf, must, type Outcome } from './session.ts'

type Look = Pick<At, 'session' | 'model'>

/** Checks the account, its vault and its key. Afterwards its key is available. */
export async function checkSettings(at: Look, account: MainAccount): Promise<string[]> {
  const { session } = at
  const { name, principalId, versions } = account
  const vault = bodyOf(await must(() => session.arm('GET', vaultPath(account.vault))))
  const policies = vault.properties.accessPolicies as { objectId: string }[]
  const isGranted = policies.some(({ objectId }) => objectId === principalId)
  const wrong = account.policy.see(isGranted ? 'granted' : 'removed', `${name}: the policy of its vault`)
  const shown = bodyOf(await must(() => session.arm('GET', pathOf(name))))
  const { keySource, keyVaultProperties: key } = shown.properties.encryption
  const present = keySource === 'Microsoft.KeyVault' ? key.keyVersion : 'service'
  wrong.push(...account.protectedBy.see(present, `${name}: its key`))
  wrong.push(...account.tag.see(shown.tags?.round ?? '', `${name}: its tag`))
  if (!isGranted) {
    if (present !== 'service') wrong.push(...(await checkRefused(at, account)))
    await must(() => setPolicy(at, account, 'add'))
    account.policy.done('granted')
  }
  const listed = bodyOf(await must(() => session.vault('GET', account.vault, `/keys/${KEY}/versions`)))
  const ids = new Set((listed.value as { kid: string }[]).map(({ kid }) => kid.split('/').at(-1)))
  // 25 a page, and the vault's pages are not what is looked at here.
  if (versions.length <= 20)
    for (const version of versions)
      if (!ids.has(version)) wrong.push(`${name}: the version ${version} of its key was made, and is not there`)
  return wrong
}

/** R19: a policy that was removed before a crash is removed after it. */
async function checkRefused({ session }: Look, account: MainAccount): Promise<string[]> {
  const file = account.files.find(({ id, state }) => id !== undefined && state.now === 'here')
  if (file?.id === undefined) return []
  const outcome = await download(session, account, file.id)
  return outcome.kind === 'done' ? [`${account.name}: a download went through although its policy was removed`] : []
}

/** Checks that everything listed is known, everything known is listed, and its bytes are those that were sent. */
export async function checkFiles({ session }: Look, account: MainAccount): Promise<string[]> {
  const wrong: string[] = []
  const listed = bodyOf(await must(() => session.data('GET', account, '/files?limit=10000&purpose=fine-tune')))
  const byName = new Map((listed.data as { id: string; filename: string }[]).map(file => [file.filename, file.id]))
  for (const file of account.files) {
    const what = `${account.name}: the file ${file.name}`
    const id = byName.get(file.name)
    byName.delete(file.name)
    if (file.id !== undefined && id !== undefined && id !== file.id) wrong.push(`${what} has another id`)
    wrong.push(...file.state.see(id === undefined ? 'gone' : 'here', what))
    if (id === undefined) continue
    file.id = id
    const outcome = await must(() => download(session, account, id)).catch((error: Error) => error)
    if (outcome instanceof Error) wrong.push(`${what} does not open: ${outcome.message}`)
    else if (sha256(outcome.bytes) !== file.sha256) wrong.push(`${what} has other bytes than were sent`)
  }
  for (const name of byName.keys()) wrong.push(`${account.name}: the file ${name} was never uploaded`)
  return wrong
}

export async function checkReEncryption({ session }: Look, account: MainAccount): Promise<string[]> {
  if (account.reEncryptions === 0) return []
  const outcome = await session.arm('GET', `${pathOf(account.name)}/reEncryption`)
  if (outcome.kind !== 'done') return [`${account.name}: its re-encryption was accepted: ${outcome.message}`]
  const { status, properties } = bodyOf(outcome)
  return status === 'Failed' ? [`${account.name}: its re-encryption failed: ${JSON.stringify(properties)}`] : []
}

/** Checks keys that can be destroyed for good. One that exists still opens what it sealed. */
export async function checkKey({ session }: Look, key: VaultKey): Promise<string[]> {
  const ask = async (path: string): Promise<boolean> => {
    const outcome = await session.vault('GET', SCRATCH, path)
    if (outcome.kind === 'unknown') throw new Error(outcome.message)
    return outcome.kind === 'done'
  }
  const isLive = await ask(`/keys/${key.name}`)
  const isDeleted = await ask(`/deletedkeys/${key.name}`)
  const gone = key.state.possible.includes('purged') ? 'purged' : 'absent'
  const wrong = key.state.see(isLive ? 'live' : isDeleted ? 'deleted' : gone, `the key ${key.name}`)
  if (!isLive || key.sealed === undefined) return wrong
  const { text, value, version } = key.sealed
  const opening = { alg: 'RSA-OAEP-256', value }
  const opened = await session.vault('POST', SCRATCH, `/keys/${key.name}/${version}/decrypt`, opening)
  if (opened.kind !== 'done' || bodyOf(opened).value !== text)
    wrong.push(`the key ${key.name} does not open what it sealed`)
  return wrong
}

export async function checkShort({ session }: Look, one: ShortAccount): Promise<string[]> {
  const isThere = (outcome: Outcome): boolean => {
    if (outcome.kind === 'unknown') throw new Error(outcome.message)
    return outcome.kind === 'done'
  }
  const isLive = isThere(await session.arm('GET', pathOf(one.name)))
  const isDeleted = isThere(await session.arm('GET', deletedPath(session, one.name)))
  const mayBePurged = one.state.possible.includes('purged')
  // A purge that a stop broke off is ended by the service, within its time.
  if (isDeleted && mayBePurged)
    return one.state.now === 'purged' ? [`the account ${one.name} was purged, and is back`] : []
  const seen = isLive ? 'live' : isDeleted ? 'deleted' : mayBePurged ? 'purged' : 'absent'
  const wrong = one.state.see(seen, `the account ${one.name}`)
  if (!isLive || one.apiKey === undefined || one.file === undefined) return wrong
  const { id, sha256: sum } = one.file
  const opened = await session.data('GET', { name: one.name, apiKey: one.apiKey }, `/files/${id}/content`)
  if (opened.kind !== 'done') wrong.push(`the file of the account ${one.name} does not open: ${opened.message}`)
  else if (sha256(opened.bytes) !== sum) wrong.push(`the file of the account ${one.name} has other bytes`)
  return wrong
}

/** Blobs in the folder that no record named, ever since it was made. */
export async function quarantined(dataDir: string): Promise<number> {
  const entries = await readdir(join(dataDir, 'blobs', 'quarantine'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  )
  return entries.filter(entry => entry.isFile()).length
}
