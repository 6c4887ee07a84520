import assert from 'node:assert/strict'
import type { KeyClient } from '@azure/keyvault-keys'
import type { Azure } from './azure.ts'

/** `--name v --ops a b` as { name: ['v'], ops: ['a', 'b'] }, and the words before. */
function parse(command: string): { words: string; options: Record<string, string[]> } {
  const [, ...parts] = command.match(/"[^"]*"|'[^']*'|\S+/g) ?? []
  const words: string[] = []
  const options: Record<string, string[]> = {}
  let values = words
  for (const part of parts) {
    if (part.startsWith('--')) values = options[part.slice(2)] = []
    else values.push(part.replace(/^(["'])(.*)\1$/, '$2'))
  }
  return { words: words.join(' '), options }
}

/**
 * Runs the commands that errors tell people to run, with the same requests as az. An unknown command fails, so that errors
 * only name commands that were tried.
 */
export async function runAz(azure: Azure, keysOf: (vault: string) => KeyClient, command: string): Promise<void> {
  const { words, options } = parse(command)
  const one = (name: string): string => options[name]?.[0] ?? assert.fail(`${command} lacks --${name}`)
  const has = (name: string): boolean => options[name] !== undefined
  const done = ({ status, body }: { status: number; body: unknown }): void =>
    assert.ok(status < 300, `${command}: ${JSON.stringify(body)}`)
  switch (words) {
    case 'keyvault update': {
      const properties = {
        ...(has('enable-purge-protection') ? { enablePurgeProtection: one('enable-purge-protection') === 'true' } : {}),
        ...(has('enable-rbac-authorization')
          ? { enableRbacAuthorization: one('enable-rbac-authorization') === 'true' }
          : {}),
        ...(has('enable-soft-delete') ? { enableSoftDelete: one('enable-soft-delete') === 'true' } : {}),
        ...(has('bypass') ? { networkAcls: { bypass: one('bypass'), defaultAction: 'Deny' } } : {}),
      }
      return done(await azure.patchVault(one('name'), properties))
    }
    case 'keyvault set-policy':
      return azure.policy(one('name'), 'add', one('object-id'), options['key-permissions'])
    case 'keyvault recover': {
      const { tenantId } = azure.endpoints
      const properties = { tenantId, sku: { family: 'A', name: 'standard' }, createMode: 'recover' }
      const body = { location: one('location'), properties }
      return done(await azure.arm('PUT', azure.vaultPath(one('name')), body, '2023-07-01'))
    }
    case 'keyvault key recover':
      return void (await (
        await keysOf(one('vault-name')).beginRecoverDeletedKey(one('name'), { intervalInMs: 20 })
      ).pollUntilDone())
    case 'keyvault key create':
      return void (await keysOf(one('vault-name')).createRsaKey(one('name'), { keySize: Number(one('size')) }))
    case 'keyvault key set-attributes': {
      const [, vault = '', name = '', version] =
        /^https:\/\/([^.]+)[^/]*\/keys\/([^/]+)(?:\/(\w+))?$/.exec(options['id']?.[0] ?? '') ?? []
      const keys = keysOf(vault === '' ? one('vault-name') : vault)
      const key = name === '' ? one('name') : name
      const latest = version ?? (await latestVersion(keys, key))
      return void (await keys.updateKeyProperties(key, latest, {
        ...(has('enabled') ? { enabled: one('enabled') === 'true' } : {}),
        ...(has('expires') ? { expiresOn: new Date(one('expires')) } : {}),
        ...(has('not-before') ? { notBefore: new Date(one('not-before')) } : {}),
        ...(has('ops') ? { keyOps: options['ops'] ?? [] } : {}),
      }))
    }
    case 'cognitiveservices account identity assign':
      return done(await azure.arm('PATCH', azure.accountPath(one('name')), { identity: { type: 'SystemAssigned' } }))
    default:
      assert.fail(`Nobody knows what this does: ${command}`)
  }
}

async function latestVersion(keys: KeyClient, name: string): Promise<string> {
  const versions: { version: string; createdOn: number }[] = []
  for await (const { version = '', createdOn } of keys.listPropertiesOfKeyVersions(name))
    versions.push({ version, createdOn: createdOn?.getTime() ?? 0 })
  return versions.toSorted((a, b) => b.createdOn - a.createdOn)[0]?.version ?? ''
}
