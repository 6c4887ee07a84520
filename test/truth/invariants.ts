import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { pause, type Azure } from '../support/azure.ts'
import type { TestCloud } from '../support/cloud.ts'

interface Report {
  readonly proven: boolean
  readonly accounts: readonly { readonly account: string; readonly problems: readonly string[] }[]
  readonly audit: { readonly ok: boolean; readonly at?: number; readonly reason?: string }
}

interface Encryption {
  readonly keySource: string
  readonly keyVaultProperties?: { readonly keyVaultUri: string; readonly keyName: string; readonly keyVersion: string }
  readonly status: { readonly keyIdentifier?: string }
}

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/**
 * Violations of the invariants, one line each: every blob opens under a valid key, none without one (except deployments'
 * own copies), the audit chain verifies (all by `ownkey prove`), and an account's settings name the key that wraps its data
 * keys.
 */
export async function brokenInvariants(cloud: TestCloud, azure: Azure): Promise<string[]> {
  const report = await prove(cloud.dataDir)
  // The subscription now belongs to another tenant, so the administrator can't prove its accounts until they are back.
  if (typeof report === 'string' && report.includes('wrong issuer')) return disagreements(azure)
  return [...problemsIn(report), ...(typeof report === 'string' ? [] : await disagreements(azure))]
}

/** The findings of `ownkey prove` alone. */
export async function contradictions(cloud: TestCloud): Promise<string[]> {
  return problemsIn(await prove(cloud.dataDir))
}

function problemsIn(report: Report | string): string[] {
  if (typeof report === 'string') return [`ownkey prove failed: ${report}`]
  const { audit, accounts } = report
  return [
    ...accounts.flatMap(({ account, problems }) => problems.map(problem => `${account}: ${problem}`)),
    ...(audit.ok ? [] : [`the audit log was changed at record ${audit.at}: ${audit.reason}`]),
  ]
}

function prove(dataDir: string): Promise<Report | string> {
  return new Promise(resolve => {
    const args = [cli, 'prove', '--data-dir', dataDir, '--whole', '--format', 'json']
    execFile(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }, (_, stdout, stderr) =>
      resolve(stdout === '' ? stderr : (JSON.parse(stdout) as Report)),
    )
  })
}

/** Accounts whose settings name another key than the one that wraps their data keys; a rotation may be followed between two looks. */
async function disagreements(azure: Azure): Promise<string[]> {
  const found = await disagreementsNow(azure)
  if (found.length === 0) return found
  await pause(1000)
  const again = await disagreementsNow(azure)
  return found.filter(one => again.includes(one))
}

async function disagreementsNow(azure: Azure): Promise<string[]> {
  const { body } = await azure.arm('GET', '/providers/Microsoft.CognitiveServices/accounts')
  const found: string[] = []
  for (const { name, properties } of body.value as { name: string; properties: { encryption: Encryption } }[]) {
    const { keySource, keyVaultProperties: key, status } = properties.encryption
    const { value } = (await azure.arm('GET', `${azure.accountPath(name)}/protectedData`)).body
    for (const { blobId, generation, protectedBy } of value as ProtectedBlob[]) {
      // A deployment's own copy.
      if (generation === 0) continue
      const isAsSaid =
        keySource === 'Microsoft.KeyVault' && key !== undefined
          ? protectedBy === status.keyIdentifier && protectedBy.startsWith(identifier(key))
          : protectedBy === 'service'
      if (!isAsSaid)
        found.push(`${name}: ${blobId} is protected by ${protectedBy}, the account says ${JSON.stringify(key)}`)
    }
  }
  return found
}

interface ProtectedBlob {
  readonly blobId: string
  readonly generation: number
  readonly protectedBy: string
}

function identifier({ keyVaultUri, keyName, keyVersion }: NonNullable<Encryption['keyVaultProperties']>): string {
  return `${keyVaultUri.replace(/\/$/, '')}/keys/${keyName}/${keyVersion}`
}
