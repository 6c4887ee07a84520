import { AccountLife } from '../accounts/account-life.ts'
import { Accounts, type AccountServices } from '../accounts/accounts.ts'
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
import { engineOptions } from '../engines/engine-settings.ts'
import { llamaRuntime } from '../engines/inference.ts'
import { patienceOf } from '../engines/life-watch.ts'
import { ggmlTrainer } from '../engines/trainer.ts'
import type { Entra } from '../entra/open-entra.ts'
import { blobReferences } from '../openai/blob-references.ts'
import { Files } from '../openai/files.ts'
import { JobEvents } from '../openai/job-events.ts'
import { jobOrigin } from '../openai/job-origin.ts'
import { JobQueue } from '../openai/job-queue.ts'
import { JobRunner } from '../openai/job-runner.ts'
import { Jobs } from '../openai/jobs.ts'
import { Models } from '../openai/models.ts'
import { ownedByAccount } from '../openai/records.ts'
import { RunningJobs } from '../openai/running-jobs.ts'
import { resealRecords } from '../openai/reseal.ts'
import type { AuditSink } from '../audit/audit-event.ts'
import { openLeases } from '../store/leases.ts'
import type { ModulesOptions } from './modules-options.ts'
import { openVaultAccess } from './vault-access.ts'

/** Vaults are not asked more often than this, unless a key is needed. */
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
  const leaseMs = options.keyLeaseSeconds * 1000
  const vaults = openVaultAccess({ ...options, log: logError }, given, accountId => accounts.byId(accountId))
  const keyStatuses = new KeyStatuses({ records, env, audit, log: logError })
  const keyRing = new KeyRing({
    records,
    rootKeys,
    leaseMs,
    vaults,
    credentialOf: vaults.credentialOf,
    settingsOf: accountId => namedKeyOf(records, accountId),
    onAnswer: keyStatuses.note,
  })
  const earlierBlobs = new EarlierBlobs(records)
  const leases = openLeases(records, () => env.now())
  const accounts = new Accounts({ records, audit, identityKey: rootKeys.identity })
  const services: AccountServices = {
    accounts,
    records,
    env,
    leases,
    audit,
    keyRing,
    keyStatuses,
    earlierBlobs,
    keyLeaseMs: leaseMs,
    vaultDirectory: vaults,
    resourceManager: given.resourceManager,
    identities: given.entra.identities,
    identityKey: rootKeys.identity,
    locations: given.locations,
    endpoint: subdomain => `https://${subdomain}.openai.${domain}:${port}/`,
  }
  const blobs = sealedBlobs(options, { keyRing, earlierBlobs, logError })
  const references = (accountId: string) => blobReferences(records, accountId)
  return {
    ...services,
    protection: new Protection(keyRing, blobs, references),
    check: new FolderCheck({ ...options, ring: keyRing, blobs, references }),
    watch: new KeyWatch(services, Math.max(options.keyWatchSeconds * 1000, MIN_WATCH_MS), logError),
    ...openData(services, { ...options, blobs, log: logError }),
    connect: vaults.connect,
  }
}

function sealedBlobs(
  { blobs, env, rootKeys }: Pick<ModulesOptions, 'blobs' | 'env' | 'rootKeys'>,
  given: { keyRing: KeyRing; earlierBlobs: EarlierBlobs; logError: (message: string, error?: unknown) => void },
): SealedBlobs {
  const { keyRing: ring, earlierBlobs, logError } = given
  const kept = (blobId: string): string =>
    `The file of the deleted blob ${blobId} can't be removed; its key is destroyed, and it is set aside later`
  return new SealedBlobs({
    ring,
    blobs,
    env,
    deploymentRoot: rootKeys.deployment,
    onChange: accountId => earlierBlobs.changed(accountId),
    onKept: (blobId, error) => logError(kept(blobId), error),
  })
}

interface DataOptions extends Pick<
  ModulesOptions,
  'bases' | 'jobsAtOnce' | 'engineTimeoutSeconds' | 'engines' | 'gpu'
> {
  readonly blobs: SealedBlobs
  readonly log: (message: string, error?: unknown) => void
}

/** The parts that work on accounts' data with the engines. */
function openData(services: AccountServices, options: DataOptions) {
  const { blobs, log, bases, jobsAtOnce } = options
  const { records, env, keyRing } = services
  const catalogue = new Catalogue(bases)
  catalogue.check()
  const engines = engineOptions(options.engines, options.gpu)
  const patience =
    options.engineTimeoutSeconds === undefined ? {} : { patience: patienceOf(options.engineTimeoutSeconds) }
  const models = new Models({ ...services, blobs, bases: namedBases(catalogue) })
  const { leases } = keyRing
  const running = new RunningModels({
    records,
    blobs,
    runtime: llamaRuntime(catalogue, { ...engines.serving, ...patience }),
    leases,
  })
  const deployments = new Deployments({ ...services, blobs, models, running })
  const data = {
    blobs,
    files: new Files({ ...services, blobs }),
    events: new JobEvents(records, env, keyRing),
    queue: new JobQueue({ atOnce: jobsAtOnce ?? 1, log }),
    running: new RunningJobs(),
  }
  const jobs = new Jobs({ ...services, ...data, originOf: (accountId, name) => jobOrigin(models, accountId, name) })
  const dependents = { stop: (accountId: string) => jobs.stopAll(accountId), collections: ownedByAccount }
  const life = new AccountLife({ ...services, blobs, running, dependents })
  const runner = new JobRunner({
    ...services,
    ...data,
    jobs,
    trainer: ggmlTrainer(catalogue, { ...engines.training, ...patience }),
    log,
  })
  const resealing = (accountId: string): Promise<number> => resealRecords(records, keyRing, accountId)
  const reEncryptions = new ReEncryptions({ ...services, blobs, resealRecords: resealing, log })
  return {
    catalogue,
    models,
    running,
    deployments,
    files: data.files,
    events: data.events,
    jobs,
    life,
    runner,
    reEncryptions,
  }
}

/** Every base model under its own name and its aliases. A name hides an alias of others. */
function namedBases(catalogue: Catalogue) {
  const own = new Set(catalogue.models.map(({ name }) => name))
  const aliases = catalogue.aliases.filter(([alias]) => !own.has(alias))
  return [
    ...catalogue.models.map(base => ({ name: base.name, base })),
    ...aliases.flatMap(([name]) =>
      catalogue.models.filter(base => base === catalogue.get(name)).map(base => ({ name, base })),
    ),
  ]
}
