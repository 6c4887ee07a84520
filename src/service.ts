import type { Agent } from 'node:http'
import type { TokenCredential } from '@azure/core-auth'
import { AccountLife } from './accounts/account-life.ts'
import { Accounts } from './accounts/accounts.ts'
import { Deployments } from './accounts/deployments.ts'
import { KeyStatuses } from './accounts/key-statuses.ts'
import { KeyWatch } from './accounts/key-watch.ts'
import { Protection } from './accounts/protection.ts'
import { ReEncryptions } from './accounts/re-encryptions.ts'
import { RunningModels } from './accounts/running-models.ts'
import type { VaultDirectory } from './accounts/vault-directory.ts'
import type { Account } from './accounts/account.ts'
import type { ResourceManager } from './arm/resource-manager.ts'
import { KeyRing } from './encryption/key-ring.ts'
import { SealedBlobs } from './encryption/sealed-blobs.ts'
import { IdentityMissing } from './encryption/vault-error.ts'
import { Catalogue } from './engines/catalogue.ts'
import { llamaRuntime } from './engines/inference.ts'
import { ggmlTrainer } from './engines/trainer.ts'
import type { Entra } from './entra/open-entra.ts'
import { Forbidden } from './http/errors.ts'
import { liveVault, vaultResourceId } from './keyvault/vault-record.ts'
import { Files } from './openai/files.ts'
import { JobEvents } from './openai/job-events.ts'
import { JobRunner } from './openai/job-runner.ts'
import { Jobs } from './openai/jobs.ts'
import { Models } from './openai/models.ts'
import { ownedByAccount } from './openai/records.ts'
import { resealRecords } from './openai/reseal.ts'
import type { AuditSink } from './audit/audit-event.ts'
import type { RoomsOptions } from './rooms.ts'
import type { RecordStore } from './store/records.ts'

const VAULT_TIMEOUT_MS = 8000
/** Vaults are not asked more often than this without need. */
const MIN_WATCH_MS = 1000

/** The Azure OpenAI service: accounts, their keys and data, and the engines. Part of the composition root. */
export function openService(
  options: Omit<RoomsOptions, 'audit'> & { readonly audit: AuditSink },
  given: { entra: Entra; resourceManager: ResourceManager; locations: readonly string[] },
) {
  const { env, records, audit, rootKeys, domain, port, log } = options
  let agent: Agent | undefined
  const isOwn = (vaultUri: string): boolean => new URL(vaultUri).hostname.endsWith(`.vault.${domain}`)
  const ring = new KeyRing({
    records,
    rootKeys,
    leaseMs: options.keyLeaseSeconds * 1000,
    vaults: { timeoutMs: VAULT_TIMEOUT_MS, agentFor: vaultUri => (isOwn(vaultUri) ? agent : undefined) },
    credentialOf: accountId => identityCredential(() => accounts.byId(accountId), given),
  })
  const logError = (message: string, error?: unknown): void =>
    log({ level: 'error', message, error: error instanceof Error ? error.stack : String(error) })
  const keyStatuses = new KeyStatuses({ records, env, audit, log: logError })
  ring.onAnswer = keyStatuses.note
  const accounts = new Accounts({
    keyStatuses,
    keyLeaseMs: options.keyLeaseSeconds * 1000,
    records,
    env,
    keyRing: ring,
    vaultDirectory: vaultDirectory(records, isOwn),
    resourceManager: given.resourceManager,
    identities: given.entra.identities,
    audit,
    identityKey: rootKeys.identity,
    locations: given.locations,
    endpoint: subdomain => `https://${subdomain}.openai.${domain}:${port}/`,
  })
  const blobs = new SealedBlobs(ring, options.blobs, env, rootKeys.deployment)
  const data = openData(options, { accounts, blobs, ring, logError })
  const watch = new KeyWatch(accounts, Math.max(options.keyWatchSeconds * 1000, MIN_WATCH_MS), logError)
  const connect = (own: Agent): void => {
    agent = own
  }
  return { accounts, protection: new Protection(accounts, blobs), ring, keyStatuses, watch, ...data, connect }
}

/** What works on an account's data, with the engines. */
function openData(
  { records, env }: Pick<RoomsOptions, 'records' | 'env'>,
  given: {
    readonly accounts: Accounts
    readonly blobs: SealedBlobs
    readonly ring: KeyRing
    readonly logError: (message: string, error?: unknown) => void
  },
) {
  const { accounts, blobs, ring, logError } = given
  const catalogue = new Catalogue()
  const models = new Models({ accounts, blobs, bases: namedBases(catalogue) })
  const running = new RunningModels({ records, blobs, runtime: llamaRuntime(catalogue) })
  const deployments = new Deployments({ accounts, blobs, models, running })
  const files = new Files(accounts, blobs)
  const jobs = new Jobs({
    accounts,
    files,
    blobs,
    events: new JobEvents(records, env, ring),
    findBase: name => models.findBase(name),
  })
  const dependents = { stop: (accountId: string) => jobs.stopAll(accountId), collections: ownedByAccount }
  const life = new AccountLife({ accounts, blobs, running, dependents })
  const runner = new JobRunner({ jobs, ring, trainer: ggmlTrainer(catalogue), log: logError })
  const reEncryptions = new ReEncryptions({
    accounts,
    blobs,
    resealRecords: accountId => resealRecords(records, ring, accountId),
    log: logError,
  })
  return { models, running, deployments, files, jobs, life, runner, reEncryptions }
}

/** Every base under its own name, and under those that stand for it. */
function namedBases(catalogue: Catalogue) {
  return [
    ...catalogue.models.map(base => ({ name: base.name, base })),
    ...catalogue.aliases.map(([name]) => ({ name, base: catalogue.find(name) })),
  ]
}

/** R13, R31: the account's own identity asks the vault, whatever the caller's rights. */
function identityCredential(
  account: () => Promise<Account | undefined>,
  { entra, resourceManager }: { readonly entra: Entra; readonly resourceManager: ResourceManager },
): TokenCredential {
  return {
    getToken: async scopes => {
      const found = await account()
      const principalId = found?.identity?.principalId
      if (principalId === undefined) throw new IdentityMissing('The resource has no system-assigned identity.')
      await checkTenant(found, resourceManager)
      try {
        const { token, expiresAt } = await entra.identities.token(
          principalId,
          [scopes].flat()[0]?.replace(/\/\.default$/, '') ?? '',
        )
        return { token, expiresOnTimestamp: expiresAt }
      } catch (error) {
        if (error instanceof Forbidden) throw new IdentityMissing(error.message)
        throw error
      }
    },
  }
}

/** R32: an identity does not move along with its subscription. */
async function checkTenant(account: Account | undefined, resourceManager: ResourceManager): Promise<void> {
  if (account?.identity === undefined) return
  const { tenantId } = await resourceManager.subscription(account.subscriptionId)
  const { principalId, tenantId: left } = account.identity
  if (left === tenantId) return
  throw new IdentityMissing(
    `The subscription was moved from tenant ${left} to ${tenantId}; the resource's identity ${principalId} stayed behind in the former.`,
    'IdentityLeftBehind',
  )
}

/** Settings of the embedded vaults, as Resource Manager knows them. */
function vaultDirectory(records: RecordStore, isOwn: (vaultUri: string) => boolean): VaultDirectory {
  return {
    describe: async vaultUri => {
      if (!isOwn(vaultUri)) return undefined
      const vault = (await liveVault(records, new URL(vaultUri).hostname.split('.')[0] ?? ''))?.value
      if (vault === undefined) return undefined
      const {
        tenantId,
        enableSoftDelete,
        enablePurgeProtection,
        enableRbacAuthorization,
        networkAcls,
        publicNetworkAccess,
      } = vault.properties
      return {
        name: vault.name,
        id: vaultResourceId(vault),
        location: vault.location,
        tenantId,
        softDelete: enableSoftDelete,
        purgeProtection: enablePurgeProtection,
        rbacAuthorization: enableRbacAuthorization,
        firewall: networkAcls?.defaultAction === 'Deny' || publicNetworkAccess === 'Disabled',
        trustedServices: networkAcls === undefined || networkAcls.bypass === 'AzureServices',
      }
    },
  }
}
