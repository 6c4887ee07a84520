import { createSecretKey, randomBytes } from 'node:crypto'
import { Agent } from 'node:https'
import { KeyVaultManagementClient } from '@azure/arm-keyvault'
import type { TokenCredential } from '@azure/core-auth'
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys'
import { armRoutes } from '../../src/arm/arm-routes.ts'
import { firstSubscription } from '../../src/arm/first-subscription.ts'
import { openResourceManager } from '../../src/arm/open-resource-manager.ts'
import { Operations } from '../../src/arm/operations.ts'
import { groupKey, groups } from '../../src/arm/records.ts'
import { systemEnv, type Env } from '../../src/base/env.ts'
import { openEntra, type Entra } from '../../src/entra/open-entra.ts'
import { principals, tenants } from '../../src/entra/records.ts'
import { ask, startListening, type Ask, type Listening } from '../../src/http/listening.fixture.ts'
import { resolveLocalNames } from '../../src/http/local-names.mjs'
import { openKeyVault, type KeyVault } from '../../src/keyvault/open-keyvault.ts'
import type { Token } from '../../src/pkcs11/token.ts'
import { openAuditLog, type AuditLog } from '../../src/store/audit-log.ts'
import type { AuditEntry } from '../../src/store/audit-entry.ts'
import { openLeases } from '../../src/store/leases.ts'
import { openMemoryRecords } from '../../src/store/memory-records.ts'
import { put, type Change, type RecordStore } from '../../src/store/records.ts'

resolveLocalNames()

export const TENANT = 'aaaaaaaa-0000-4000-8000-000000000001'
export const OTHER_TENANT = 'aaaaaaaa-0000-4000-8000-000000000002'
export const ADMIN = 'bbbbbbbb-0000-4000-8000-000000000001'
export const USER = 'bbbbbbbb-0000-4000-8000-000000000002'
/** The identity of an account. */
export const ACCOUNT = 'bbbbbbbb-0000-4000-8000-000000000003'
export const FOREIGNER = 'bbbbbbbb-0000-4000-8000-000000000004'
const DAY = 86_400_000

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read responses of every shape
  readonly body: any
}

export interface Sending {
  readonly as?: string
  readonly token?: string | null
  /** The whole header, in place of a token. */
  readonly authorization?: string
  readonly version?: string | null
  readonly body?: unknown
  readonly service?: boolean
}

/** A Key Vault on a real listener, with Resource Manager beside it and a clock that the test moves. */
export class Cloud {
  readonly records: RecordStore
  readonly keyVault: KeyVault
  readonly audit: AuditLog
  readonly subscription: string
  readonly server: Listening
  readonly entra: Entra
  readonly #clock: { skew: number }
  readonly #agent: Agent

  constructor(
    parts: Pick<Cloud, 'records' | 'keyVault' | 'audit' | 'entra' | 'subscription' | 'server'>,
    clock: { skew: number },
  ) {
    this.records = parts.records
    this.keyVault = parts.keyVault
    this.audit = parts.audit
    this.entra = parts.entra
    this.subscription = parts.subscription
    this.server = parts.server
    this.#clock = clock
    this.#agent = new Agent({ ca: parts.server.certificates.caPem, keepAlive: true })
  }

  get port(): number {
    return this.server.listener.port
  }

  get resource(): string {
    return `https://vault.localhost:${this.port}`
  }

  vaultUrl(vault: string): string {
    return `https://${vault}.vault.localhost:${this.port}`
  }

  async advance(days: number): Promise<void> {
    this.#clock.skew += days * DAY
    await this.keyVault.maintain()
  }

  async token(oid: string, audience = this.resource): Promise<string> {
    const principal = await this.entra.principal(oid)
    if (principal === undefined) throw new Error(`There is no principal ${oid}.`)
    return (await this.entra.tokens.issue(principal, audience)).token
  }

  credential(oid: string): TokenCredential {
    return {
      getToken: async scopes => {
        const token = await this.token(oid, String(scopes).replace('/.default', ''))
        return { token, expiresOnTimestamp: Date.now() + 3_600_000 }
      },
    }
  }

  #clientOptions() {
    const agent = this.#agent
    const policy = {
      name: 'agent',
      sendRequest: (request: { agent?: unknown }, next: (request: unknown) => Promise<unknown>) => {
        request.agent = agent
        return next(request)
      },
    }
    return { additionalPolicies: [{ policy: policy as never, position: 'perRetry' as const }] }
  }

  keys(vault: string, as = ADMIN): KeyClient {
    return new KeyClient(this.vaultUrl(vault), this.credential(as), this.#clientOptions())
  }

  management(as = ADMIN): KeyVaultManagementClient {
    const endpoint = `https://management.localhost:${this.port}`
    return new KeyVaultManagementClient(this.credential(as), this.subscription, { endpoint, ...this.#clientOptions() })
  }

  cryptography(key: KeyVaultKey | string, as = ADMIN): CryptographyClient {
    const options = this.#clientOptions()
    return typeof key === 'string'
      ? new CryptographyClient(key, this.credential(as), options)
      : new CryptographyClient(key, this.credential(as), options)
  }

  async arm(method: string, path: string, sending: Sending = {}): Promise<Reply> {
    const token = sending.token ?? (await this.token(sending.as ?? ADMIN, 'https://management.azure.com'))
    return this.#send('management.localhost', method, path, { version: '2023-07-01', ...sending, token })
  }

  /** A data-plane call by hand. */
  async call(vault: string, method: string, path: string, sending: Sending = {}): Promise<Reply> {
    const token = sending.token === undefined ? await this.token(sending.as ?? ADMIN) : sending.token
    return this.#send(`${vault}.vault.localhost`, method, path, { version: '7.6', ...sending, token })
  }

  async #send(host: string, method: string, path: string, sending: Sending): Promise<Reply> {
    const { token, authorization, version, body, service } = sending
    const query = version == null ? '' : `${path.includes('?') ? '&' : '?'}api-version=${version}`
    const options: Ask = {
      host,
      method,
      path: `${path}${query}`,
      headers: {
        host: `${host}:${this.port}`,
        ...(token == null ? {} : { authorization: `Bearer ${token}` }),
        ...(authorization === undefined ? {} : { authorization }),
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      agent: service ? this.server.listener.serviceAgent : this.#agent,
    }
    const reply = await ask(this.server, options)
    return {
      status: reply.status,
      headers: reply.headers,
      body: reply.body === '' ? undefined : JSON.parse(reply.body),
    }
  }

  vaultId(name: string): string {
    return `/subscriptions/${this.subscription}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/${name}`
  }

  /** A premium vault with legacy access policies; the administrator may do everything. */
  async vault(name: string, properties: object = {}): Promise<Reply> {
    const body = {
      location: 'eastus',
      properties: {
        tenantId: TENANT,
        sku: { family: 'A', name: 'premium' },
        accessPolicies: [policy(ADMIN, 'all')],
        ...properties,
      },
    }
    return this.arm('PUT', this.vaultId(name), { body })
  }

  async auditEntries(operationName?: string): Promise<AuditEntry[]> {
    const all = await this.audit.list({ limit: 10_000 })
    return all
      .map(({ entry }) => entry)
      .filter(entry => operationName === undefined || entry.operationName === operationName)
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    await this.server.close()
    await this.records.close()
  }
}

export function policy(objectId: string, ...keys: string[]): object {
  return { tenantId: TENANT, objectId, permissions: { keys } }
}

/** The modules that a vault needs, all of them real. Records are in memory unless others are given. */
export async function startCloud(records: RecordStore = openMemoryRecords(), token?: Token): Promise<Cloud> {
  const clock = { skew: 0 }
  const env: Env = { ...systemEnv, now: () => Date.now() + clock.skew }
  const audit = await openAuditLog(records, env)
  const { subscriptionId, changes } = firstSubscription(env, TENANT, [ADMIN])
  const id = `/subscriptions/${subscriptionId}/resourceGroups/rg`
  const group = { id, name: 'rg', subscriptionId, location: 'eastus', tags: {} }
  await records.commit([...changes, ...directory(), put(groups, groupKey(subscriptionId, 'rg'), group)])
  const resourceManager = openResourceManager(records)
  const locations = ['eastus', 'westeurope']
  let port = 0
  const authority = (tenant: string) => `https://login.localhost:${port}/${tenant}`
  const sealingKey = createSecretKey(randomBytes(32))
  const entra = await openEntra({
    records,
    env,
    sealingKey,
    domain: 'localhost',
    authority,
    portal: 'https://portal.localhost:8443',
  })
  const keyVault = openKeyVault({
    records,
    token,
    env,
    hsmKey: createSecretKey(randomBytes(32)),
    resourceManager,
    verifyToken: (token, expected) => entra.tokens.verify(token, expected),
    authority,
    vaultResource: () => `https://vault.localhost:${port}`,
    vaultUri: name => `https://${name}.vault.localhost:${port}/`,
    audit,
    auditLog: audit,
    locations,
  })
  const arm = armRoutes({
    records,
    env,
    audit,
    resourceManager,
    resourceTypes: [keyVault.resourceType],
    operations: new Operations({
      leases: openLeases(records, () => env.now()),
      records,
      env,
      resourceManager,
      log: () => {},
    }),
    directory: { ...entra, tenant: async () => undefined },
    locations,
    subscriptionMoved: async () => {},
    endpoints: { authority: '', resourceManager: '', portal: '', audiences: [], keyVaultSuffix: '' },
  })
  const server = await startListening([...keyVault.routes, ...arm], {
    vault: keyVault.authenticator,
    management: entra.managementAuthenticator,
  })
  port = server.listener.port
  return new Cloud({ records, keyVault, audit, entra, subscription: subscriptionId, server }, clock)
}

/** Two tenants with their principals, under ids that tests can name. */
function directory(): Change[] {
  const resourceId = '/subscriptions/s/resourcegroups/rg/providers/Microsoft.CognitiveServices/accounts/a'
  const people = [
    { objectId: ADMIN, tenantId: TENANT },
    { objectId: USER, tenantId: TENANT },
    { objectId: ACCOUNT, tenantId: TENANT, resourceId },
    { objectId: FOREIGNER, tenantId: OTHER_TENANT },
  ]
  return [
    ...[TENANT, OTHER_TENANT].map(tenantId =>
      put(tenants, tenantId, { tenantId, displayName: tenantId, createdAt: 0 }),
    ),
    ...people.map(one => {
      const rest = {
        appId: `app-of-${one.objectId}`,
        kind: 'application',
        displayName: '',
        enabled: true,
        createdAt: 0,
      }
      return put(principals, one.objectId, { ...one, ...rest, kind: 'application' as const })
    }),
  ]
}
