import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isFolder } from '../base/data-folder.ts'
import { endpointsFile, type Endpoints } from '../base/endpoints.ts'
import type { CloudOptions, PreparedCloud } from '../cloud/options.ts'
import { startCloud } from '../cloud/start.ts'
import type { Seed } from '../seed/seed-file.ts'
import type { SeedReport } from '../seed/seed-run.ts'
import type { ModelEffect } from './seed-models.ts'
import { reportConfinement } from '../engines/confinement.ts'
import type { EngineSettings } from '../engines/engine-settings.ts'
import { onFailedSync } from '../base/failed-sync.ts'
import { fitted, shellWord } from '../base/terminal.ts'

/** https://man.freebsd.org/sysexits: an error while doing I/O on some file. */
const EX_IOERR = 74
const LAST_ANSWERS_MS = 500
/** When the first requests are answered. */
const LATER_MS = 1000

/** Runs the cloud until SIGTERM or SIGINT. Resolves to the exit code. */
export async function start(options: {
  dataDir: string
  port: number
  keyLeaseSeconds: number
  keyWatchSeconds: number
  jobsAtOnce: number
  /** An engine's process without a sign of life for this long is ended. */
  engineTimeoutSeconds: number
  engines: EngineSettings
  location: string
  /** A seed file. */
  seed: string | undefined
  outsideVaults: readonly string[]
  federatedIssuers: readonly string[]
  clockControl: boolean
  allowPasswordGrant: boolean
  knownHead: string | undefined
  freshness: string | undefined
  acceptChangedRecords: boolean
  newCa: boolean
  diagnosticsFolder: string | undefined
  pkcs11: CloudOptions['pkcs11']
  verbose: boolean
}): Promise<number> {
  const log = (line: object): void => {
    const isProblem = 'fault' in line || 'level' in line
    if (options.verbose || isProblem) say(`${JSON.stringify(line)}\n`)
  }
  const { dataDir, diagnosticsFolder } = options
  endAsShell()
  const failures: Error[] = []
  const failedSync = new Promise<void>(resolve => {
    onFailedSync(error => resolve(void failures.push(error)))
  })
  // Nothing is written there before a diagnostic setting exists, so a wrong path would show much later.
  if (diagnosticsFolder !== undefined) await isFolder(diagnosticsFolder)
  // First of all, so that with a wrong file nothing is made, not even the folder.
  const seed = options.seed === undefined ? undefined : await readSeed(options.seed)
  const prepare = async (access: PreparedCloud): Promise<void> => {
    if (seed === undefined) return
    const { applySeed } = await import('../seed/apply-seed.ts')
    showReport(seed, models, await applySeed(seed, { access, dataDir, environment: process.env }))
  }
  const models = seed === undefined ? [] : await addModels(seed, dataDir)
  const cloud = await startCloud({ ...options, log, prepare })
  showReady(cloud.endpoints, dataDir)
  setTimeout(() => void warnOfEngines(log), LATER_MS).unref()
  await Promise.race([stopSignal(), failedSync])
  try {
    if (failures.length === 0) await cloud.close()
  } catch (error) {
    if (failures.length === 0) throw error
  }
  // It may come also during a clean end.
  const [failure] = failures
  return failure === undefined ? 0 : endOfDisk(failure, dataDir)
}

/** Says what this machine can't keep engines from. */
async function warnOfEngines(log: (line: object) => void): Promise<void> {
  const { lacks, remedy } = await reportConfinement()
  for (const message of lacks) log({ level: 'warning', message: [message, ...remedy].join(' ') })
}

function showReady(endpoints: Endpoints, dataDir: string): void {
  const folder = shellWord(dataDir)
  process.stdout.write(
    [
      `OwnKey is ready on https://*.localhost:${endpoints.port} (loopback only).`,
      `  portal     ${endpoints.portal}`,
      `  sign in    as ${endpoints.administrator.userName}`,
      `  password   administrator.password of ${endpointsFile(dataDir)}`,
      `  CA         ${endpoints.caCertificate}`,
      `  trust it   ./ownkey trust --data-dir ${folder}`,
      `  clients    eval "$(./ownkey env --data-dir ${folder})"`,
      'Stop it with Ctrl-C.',
      '',
    ].join('\n'),
  )
}

/** A log on a full disk, or without a reader, does not end the service. */
function say(text: string): void {
  if (process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => undefined)
  try {
    process.stderr.write(text)
  } catch {
    // Writing to a file may throw.
  }
}

function stopSignal(): Promise<undefined> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(undefined))
  })
}

/**
 * koffi syncs stdout when a process exits. Where the log is on a failing disk, it then waits for itself for ever, and a refused start
 * would never end. So this process is replaced by a shell, which ends with the same status.
 */
function endAsShell(): void {
  // Node.js itself would print it only after the listeners of `exit`.
  process.on('uncaughtExceptionMonitor', error => say(`ownkey: ${error.stack ?? error.message}\n`))
  process.once('exit', code => {
    try {
      process.execve?.('/bin/sh', ['sh', '-c', `exit ${code}`], {})
    } catch {
      // Without a shell it ends by itself.
    }
  })
}

/** ADR 0023: ends without a clean close, which would write to a failed disk. Answers under way are still sent. */
async function endOfDisk({ message }: Error, dataDir: string): Promise<number> {
  say(`ownkey: ${message}\n`)
  await sleep(LAST_ANSWERS_MS)
  await rm(endpointsFile(dataDir), { force: true }).catch(() => undefined)
  return EX_IOERR
}

/** Loaded only where there is a seed, so that a start without one does not take longer. */
async function readSeed(file: string): Promise<Seed> {
  const { readSeedFile } = await import('../seed/seed-file.ts')
  return readSeedFile(file, process.env)
}

/** Bases come before the cloud, since a start reads them. */
async function addModels(seed: Seed, dataDir: string): Promise<readonly ModelEffect[]> {
  if (seed.content.models.length === 0) return []
  const { seedModels } = await import('./seed-models.ts')
  return seedModels(seed, dataDir)
}

function showReport(
  { lines: { file } }: Seed,
  models: readonly ModelEffect[],
  { made, changed, same, lines, secretsFile }: SeedReport,
): void {
  const secrets =
    secretsFile === undefined ? [] : [`  secrets  ${secretsFile} (what was made up for it; keep it to yourself)`]
  const count = (effect: ModelEffect['effect'], others: number): number =>
    models.filter(one => one.effect === effect).length + others
  const summary = `Seed ${file}: ${count('made', made)} made, ${count('changed', changed)} changed, ${count('same', same)} as they were.`
  process.stdout.write(
    fitted(
      [
        summary,
        ...[...models.flatMap(({ line }) => line ?? []), ...lines].map(line => `  ${line}`),
        ...secrets,
        '',
      ].join('\n'),
      '  ',
    ),
  )
}
