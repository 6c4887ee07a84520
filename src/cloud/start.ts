import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { controlledClock } from '../clock/controlled-clock.ts'
import type { CloudOptions } from './options.ts'
import { readFipsState } from '../crypto/fips-module.ts'
import { checkKnownAnswers } from '../crypto/known-answers.ts'
import { openDataFolder } from '../base/data-folder.ts'
import { endpointsFile, type Endpoints } from '../base/endpoints.ts'
import { listenMetadata } from '../entra/metadata.ts'
import { systemEnv } from '../base/env.ts'
import { findGpu, type Gpu } from '../engines/gpu.ts'
import { takeInventory } from './folder-inventory.ts'
import { areDue, openCertificates, type ServerCertificates } from '../http/certificates.ts'
import { listen } from '../http/listen.ts'
import { openFolder, type Settings } from './open-folder.ts'
import { repeatedly, type Repeating } from '../base/repeatedly.ts'
import type { Modules } from './wire.ts'
import { sweepLeftovers, writeFileAtomically } from '../store/atomic-file.ts'
import { giveOutWhereFull } from '../store/disk-reserve.ts'
import { lockFolder } from '../store/folder-lock.ts'
import { RecordTampered } from '../store/records.ts'
import { closeToOthers } from '../store/folder-modes.ts'

export interface Cloud {
  readonly endpoints: Endpoints
  close(): Promise<void>
}

const DOMAIN = 'localhost'
/** How often certificates are checked, since the clock may be set or the machine sleep for months. */
const RENEWAL_CHECK_MS = 10_000

/** Starts a cloud in a folder and writes `endpoints.json`, last of all. @throws when another process has the folder */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { dataDir, log = () => {} } = options
  const clock = options.clockControl ? controlledClock(options.env ?? systemEnv) : undefined
  const env = clock?.env ?? options.env ?? systemEnv
  const fips = readFipsState()
  if (fips.status === 'broken' || (options.fips === true && fips.status !== 'active'))
    throw new Error('FIPS mode is set, but the FIPS provider does not work. Run ./ownkey doctor.')
  checkKnownAnswers()
  const rootKey = process.env['OWNKEY_ROOT_KEY']
  // Processes that are started later do not inherit it.
  delete process.env['OWNKEY_ROOT_KEY']
  const gpu = await openGpu(options, log)
  await openDataFolder(dataDir)
  await closeToOthers(dataDir, (path, mode) =>
    log({ level: 'warning', message: `${path} was open to other users (mode ${mode}); it is not any more.` }),
  )
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const lock = await lockFolder(dataDir)
    closers.push(() => lock.release())
    giveOutWhereFull(join(dataDir, 'records.db'))
    await rm(endpointsFile(dataDir), { force: true })
    const inventory = await takeInventory(dataDir, rootKey !== undefined)
    for (const folder of [dataDir, join(dataDir, 'ca')]) await sweepLeftovers(folder)
    const port = options.port === 0 ? await freePort() : options.port
    const settings = { ...options, env, clock, log, port, domain: DOMAIN, inventory, gpu, rootKey }
    // Before the records, so that a CA that is not whole ends the start with nothing changed.
    const authority = inventory.isNew ? 'make' : options.newCa ? 'replace' : 'keep'
    const notice = (message: string): void => log({ level: 'warning', message })
    const certificates = await openCertificates(join(dataDir, 'ca'), DOMAIN, env, { authority, notice })
    const modules = await openFolder(settings, closers)
    const endpoints = await listenAll(settings, certificates, modules, closers)
    await inventory.started()
    const caPem = await readFile(endpoints.caCertificate, 'utf8')
    await options.prepare?.({ endpoints, caPem, administration: modules.administration })
    await writeFileAtomically(endpointsFile(dataDir), `${JSON.stringify(endpoints, null, 2)}\n`, 0o600)
    closers.push(() => rm(endpointsFile(dataDir), { force: true }))
    return { endpoints, close }
  } catch (error) {
    await close()
    if (!(error instanceof RecordTampered)) throw error
    throw new Error(
      `The record ${error.collection}/${error.id} was changed outside this service, and no cloud starts without it. Restore the data folder from a backup.`,
      { cause: error },
    )
  }
}

/** @throws EngineFailure that says what to install, where the GPU that the operator asked for can't be used */
async function openGpu({ engines }: CloudOptions, log: (line: object) => void): Promise<Gpu> {
  const gpu = await findGpu(engines?.gpu ?? 'cpu', message => log({ level: 'warning', message }))
  if (gpu.devices.length > 0) log({ message: `Models are served with ${gpu.variant} on ${gpu.devices.join(', ')}.` })
  return gpu
}

async function listenAll(
  settings: Settings,
  opened: ServerCertificates,
  modules: Modules,
  closers: (() => Promise<void>)[],
): Promise<Endpoints> {
  const { dataDir, env, log, port } = settings
  const notice = (message: string): void => log({ level: 'warning', message })
  let certificates = opened
  const listener = await listen({
    port,
    domain: DOMAIN,
    certificates,
    routes: modules.routes,
    authenticators: modules.authenticators,
    env,
    log,
    notice,
  })
  closers.push(() => listener.close())
  const renewal = renewing(async () => {
    if (!areDue(certificates)) return
    certificates = await openCertificates(join(dataDir, 'ca'), DOMAIN, env, { authority: 'keep', notice })
    listener.useCertificates(certificates)
  }, log)
  closers.push(() => renewal.stop())
  modules.connect(listener.serviceAgent)
  const metadata = await listenMetadata({
    port: 0,
    env,
    identities: modules.entra.identities,
    audited: routes => modules.audited(routes),
    domain: DOMAIN,
    caPem: () => certificates.caPem,
    log,
    notice,
  })
  closers.push(() => metadata.close())
  await modules.start()
  closers.push(() => modules.stop())
  return endpointsOf(settings, certificates, modules, metadata.port)
}

function endpointsOf(
  { location, port }: Settings,
  { caFile }: ServerCertificates,
  modules: Modules,
  metadataPort: number,
): Endpoints {
  const { administrator, administratorUser } = modules.entra
  const at = (host: string): string => `https://${host}.${DOMAIN}:${port}`
  return {
    port,
    caCertificate: resolve(caFile),
    caCertificateUrl: `http://127.0.0.1:${metadataPort}/ca.pem`,
    authority: at('login'),
    resourceManager: at('management'),
    keyVaultSuffix: `.vault.${DOMAIN}:${port}`,
    openAiSuffix: `.openai.${DOMAIN}:${port}`,
    portal: at('portal'),
    instanceMetadata: `http://127.0.0.1:${metadataPort}`,
    tenantId: administrator.tenantId,
    subscriptionId: modules.subscriptionId,
    location,
    administrator: {
      clientId: administrator.clientId,
      clientSecret: administrator.clientSecret,
      userName: administratorUser.userName,
      password: administratorUser.password,
    },
  }
}

function renewing(renew: () => Promise<void>, log: Settings['log']): Repeating {
  return repeatedly(renew, RENEWAL_CHECK_MS, error =>
    log({ level: 'error', message: 'Certificate renewal failed', error: String(error) }),
  )
}

/** Finds a free port before the server listens, since names contain the port. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('No port is free.')),
      )
    })
  })
}
