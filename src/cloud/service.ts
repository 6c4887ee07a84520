import { AccountLife } from '../accounts/account-life.ts'
import { Accounts } from '../accounts/accounts.ts'
import { Deployments } from '../accounts/deployments.ts'
import { EarlierBlobs } from '../accounts/earlier-blobs.ts'
import { KeyStatuses } from '../accounts/key-statuses.ts'
import { KeyWatch } from '../accounts/key-watch.ts'
import { namedKeyOf } from '../accounts/named-key.ts'
import { Protection } from '../accounts/protection.ts'
import { ReEncryptions } from '../accounts/re-encryptions.ts'
import { RunningModels } from '../accounts/running-models.ts'
import type { ResourceManager } from '../arm/resource-manager.ts'
import { FolderCheck } from '../folder/folder-check.ts'
import { KeyRing } from '../encryption/key-ring.ts'
import { SealedBlobs } from '../encryption/sealed-blobs.ts'
import { Catalogue } from '../engines/catalogue.ts'
import { llamaRuntime } from '../engines/inference.ts'
import { patienceOf } from '../engines/life-watch.ts'
import { ggmlTrainer } from '../engines/trainer.ts'
import type { Entra } from '../entra/open-entra.ts'
import { blobReferences } from '../openai/blob-references.ts'
import { Files } from '../openai/files.ts'
import { JobEvents } from '../openai/job-events.ts'
import { JobRunner } from '../openai/job-runner.ts'
import { Jobs } from '../openai/jobs.ts'
import { Models } from '../openai/models.ts'
import { ownedByAccount } from '../openai/records.ts'
import { resealRecords } from '../openai/reseal.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import type { ModulesOptions } from './modules-options.ts'
import { openVaultAccess } from './vault-access.ts'

/** Vaults are not asked more often than this without need. */
const MIN_WATCH_MS = 1000

export type Service = ReturnType<typeof openService>

/** The Azure OpenAI service: accounts, their keys and data, and the engines. */
export function openService(
  options: Omit<ModulesOptions, 'audit'> & { readonly audit: AuditSink; readonly ownPorts: ReadonlySet<number> },
  given: { entra: Entra; resourceManager: ResourceManager; locations: readonly string[] },
) {
  const { env, records, audit, rootKeys, domain, port, log } = options
  const logError = (message: string, error?: unknown): void =>
    log({ level: 'error', message, error: error instanceof Error ? error.stack : String(error) })
  const vaults = openVaultAccess({ ...options, log: logError }, given, accountId => accounts.byId(accountId))
  const leaseMs = options.keyLeaseSeconds * 1000
  const ring = new KeyRing({
    records,
    rootKeys,
    leaseMs,
    vaults,
    credentialOf: vaults.credentialOf,
    settingsOf: accountId => namedKeyOf(records, accountId),
  })
  const keyStatuses = new KeyStatuses({ records, env, audit, log: logError })
  ring.onAnswer = keyStatuses.note
  const earlierBlobs = new EarlierBlobs(ring)
  const accounts = new Accounts({
    keyStatuses,
    earlierBlobs,
    keyLeaseMs: leaseMs,
    records,
    env,
    keyRing: ring,
    vaultDirectory: vaults,
    resourceManager: given.resourceManager,
    identities: given.entra.identities,
    audit,
    identityKey: rootKeys.identity,
    locations: given.locations,
    endpoint: subdomain => `https://${subdomain}.openai.${domain}:${port}/`,
  })
  const blobs = new SealedBlobs(ring, options.blobs, env, rootKeys.deployment)
  blobs.onChange = accountId => earlierBlobs.changed(accountId)
  const data = openData(options, { accounts, blobs, ring, logError })
  const watch = new KeyWatch(accounts, Math.max(options.keyWatchSeconds * 1000, MIN_WATCH_MS), logError)
  const { connect } = vaults
  return {
    accounts,
    protection: new Protection(accounts, blobs, id => blobReferences(records, id)),
    check: new FolderCheck({ ...options, ring, blobs, references: id => blobReferences(records, id) }),
    ring,
    keyStatuses,
    watch,
    ...data,
    connect,
  }
}

/** What works on an account's data, with the engines. */
function openData(
  {
    records,
    env,
    jobsAtOnce,
    engineTimeoutSeconds,
  }: Pick<ModulesOptions, 'records' | 'env' | 'jobsAtOnce' | 'engineTimeoutSeconds'>,
  given: {
    readonly accounts: Accounts
    readonly blobs: SealedBlobs
    readonly ring: KeyRing
    readonly logError: (message: string, error?: unknown) => void
  },
) {
  const { accounts, blobs, ring, logError } = given
  const catalogue = new Catalogue()
  catalogue.check()
  const engines = engineTimeoutSeconds === undefined ? {} : { patience: patienceOf(engineTimeoutSeconds) }
  const models = new Models({ accounts, blobs, bases: namedBases(catalogue) })
  const running = new RunningModels({ records, blobs, runtime: llamaRuntime(catalogue, engines), leases: ring.leases })
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
  const runner = new JobRunner({
    jobs,
    ring,
    trainer: ggmlTrainer(catalogue, engines),
    log: logError,
    atOnce: jobsAtOnce ?? 1,
  })
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
