import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { systemEnv as env } from '../../src/base/env.ts'
import { endpointsFile, type Endpoints } from '../../src/base/endpoints.ts'
import { wireModules, type Modules } from '../../src/cloud/wire.ts'
import { shredding } from '../../src/encryption/destruction.ts'
import { openRootKeys, type RootKeys } from '../../src/encryption/root-key.ts'
import { Snapshots } from '../../src/folder/snapshots.ts'
import { openCertificates, type ServerCertificates } from '../../src/http/certificates.ts'
import { listen, type Listener } from '../../src/http/listen.ts'
import { resolveLocalNames } from '../../src/http/local-names.mjs'
import { openAuditLog } from '../../src/store/audit-log.ts'
import { openDirectoryBlobs } from '../../src/store/directory-blobs.ts'
import { holdable, type HeldBlobs } from '../../src/store/held-blobs.ts'
import { openMemoryRecords } from '../../src/store/memory-records.ts'
import { openQuarantine } from '../../src/store/quarantine.ts'
import type { RecordStore } from '../../src/store/records.ts'
import { SharedRecords, type Handle } from '../../src/store/shared-records.test-support.ts'
import { LEASE_SECONDS, type TestCloud } from './cloud.ts'

const DOMAIN = 'localhost'
const LOCATION = 'westeurope'

/** One of the services: its own modules and listener over a handle of its own on the records. */
interface Service {
  readonly modules: Modules
  readonly listener: Listener
  readonly records: Handle
}

interface Shared {
  readonly dataDir: string
  readonly port: number
  readonly records: SharedRecords
  readonly blobs: HeldBlobs
  readonly rootKeys: RootKeys
  readonly certificates: ServerCertificates
  readonly log: (line: object) => void
}

/**
 * Two services on one store in memory and one folder of blobs, behind a proxy that alternates between them. Both are in this process, but
 * only the store connects them.
 */
export class TwoServices implements TestCloud {
  readonly dataDir: string
  readonly endpoints: Endpoints
  readonly pid = process.pid
  readonly startMs = 0
  readonly ended = new Promise<number | null>(() => {})
  /** The log lines of both. */
  readonly logged: object[]
  readonly #shared: Shared
  readonly #proxy: Server
  #services: Service[]
  /** If set, this one gets every request. */
  only: 0 | 1 | undefined
  #turn = 0

  private constructor(shared: Shared, services: Service[], proxy: Server, logged: object[]) {
    this.#shared = shared
    this.#services = services
    this.#proxy = proxy
    this.logged = logged
    this.dataDir = shared.dataDir
    this.endpoints = endpointsOf(shared, services[0] as Service)
  }

  static async open(test: { after(close: () => Promise<void>): void }): Promise<TwoServices> {
    const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-two-'))
    const logged: object[] = []
    const certificates = await openCertificates(join(dataDir, 'ca'), DOMAIN, env, {
      authority: 'make',
      notice: message => void logged.push({ message }),
    })
    const proxy = createServer({ cert: certificates.certificatePem, key: certificates.keyPem })
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
    const shared: Shared = {
      dataDir,
      port: (proxy.address() as AddressInfo).port,
      records: new SharedRecords(openMemoryRecords()),
      blobs: holdable(await openDirectoryBlobs(join(dataDir, 'blobs'))),
      rootKeys: await openRootKeys({ file: join(dataDir, 'root.key'), fromEnvironment: undefined, makeWith: env }),
      certificates,
      log: line => void logged.push(line),
    }
    resolveLocalNames()
    setDefaultCACertificates([...getCACertificates('default'), await readFile(certificates.caFile, 'utf8')])
    // One after the other, so the second finds what the first has made.
    const services = [await openOne(shared), await openOne(shared)]
    const two = new TwoServices(shared, services, proxy, logged)
    proxy.on('request', (incoming, answer) => two.#pass(incoming, answer))
    await writeFile(endpointsFile(dataDir), JSON.stringify(two.endpoints), { mode: 0o600 })
    test.after(() => two.#close())
    return two
  }

  /** The handle of one of them. */
  recordsOf(which: 0 | 1): Handle {
    return (this.#services[which] as Service).records
  }

  modulesOf(which: 0 | 1): Modules {
    return (this.#services[which] as Service).modules
  }

  /** Runs with every request at one of them. */
  async at<T>(which: 0 | 1, run: () => Promise<T>): Promise<T> {
    const before = this.only
    this.only = which
    try {
      return await run()
    } finally {
      this.only = before
    }
  }

  /** One after the other, as a rolling update does it. */
  async restart(): Promise<void> {
    for (const which of [0, 1] as const) {
      this.only = which === 0 ? 1 : 0
      await this.restartOne(which)
    }
    this.only = undefined
  }

  async restartOne(which: 0 | 1): Promise<void> {
    await closeOne(this.#services[which] as Service)
    this.#services[which] = await openOne(this.#shared)
  }

  async stop(): Promise<number | null> {
    throw new Error('They end with the test.')
  }

  async kill(): Promise<void> {
    throw new Error('They live in the process of the test.')
  }

  #pass(incoming: IncomingMessage, answer: ServerResponse): void {
    const which = this.only ?? (this.#turn += 1) % 2
    const { port } = (this.#services[which] as Service).listener
    const { method, url: path, headers } = incoming
    const host = '127.0.0.1'
    const onward = request({ host, port, method, path, headers, servername: DOMAIN, agent: false }, response => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders)
      response.pipe(answer)
      response.on('error', () => answer.destroy())
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    incoming.pipe(onward)
  }

  async #close(): Promise<void> {
    this.#proxy.close()
    this.#proxy.closeAllConnections()
    for (const service of this.#services) await closeOne(service)
    await this.#shared.records.close()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

async function openOne(shared: Shared): Promise<Service> {
  const { dataDir, port, blobs, rootKeys, certificates, log } = shared
  const handle = shared.records.open()
  const records: RecordStore = shredding(handle, () => {})
  const file = Object.assign(records, {
    copyTo: async () => Promise.reject(new Error('These records lie in no file.')),
  })
  const modules = await wireModules({
    env,
    records,
    port,
    domain: DOMAIN,
    diagnosticsFolder: join(dataDir, 'diagnostics'),
    dataDir,
    blobs,
    quarantine: openQuarantine(join(dataDir, 'blobs')),
    snapshots: new Snapshots({ dataDir, records: file, blobs, env, log }),
    audit: await openAuditLog(records, env),
    rootKeys,
    keyLeaseSeconds: LEASE_SECONDS,
    keyWatchSeconds: 1,
    location: LOCATION,
    log,
  })
  const { routes, authenticators } = modules
  const listener = await listen({ port: 0, domain: DOMAIN, certificates, routes, authenticators, env, log })
  modules.connect(listener.serviceAgent)
  await modules.start()
  return { modules, listener, records: handle }
}

/** Closes in the order of a cloud: the work first, while its own vaults still answer. */
async function closeOne({ modules, listener, records }: Service): Promise<void> {
  await modules.stop()
  await listener.close()
  await modules.close()
  await records.close()
}

function endpointsOf({ port, certificates }: Shared, { modules }: Service): Endpoints {
  const { administrator, administratorUser } = modules.entra
  const at = (host: string): string => `https://${host}.${DOMAIN}:${port}`
  return {
    port,
    caCertificate: certificates.caFile,
    caCertificateUrl: '',
    authority: at('login'),
    resourceManager: at('management'),
    keyVaultSuffix: `.vault.${DOMAIN}:${port}`,
    openAiSuffix: `.openai.${DOMAIN}:${port}`,
    portal: at('portal'),
    instanceMetadata: '',
    tenantId: administrator.tenantId,
    subscriptionId: modules.subscriptionId,
    location: LOCATION,
    administrator: {
      clientId: administrator.clientId,
      clientSecret: administrator.clientSecret,
      userName: administratorUser.userName,
      password: administratorUser.password,
    },
  }
}
