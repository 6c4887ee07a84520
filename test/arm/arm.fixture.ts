import type { Endpoints } from '../../src/base/endpoints.ts'

export interface Login {
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
  readonly objectId: string
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read responses of every shape
  readonly body: any
}

const tokens = new Map<string, string>()

/** A principal with a token for a service, over HTTP like a user. */
export class Client {
  readonly endpoints: Endpoints
  readonly login: Login

  constructor(endpoints: Endpoints, login: Login) {
    this.endpoints = endpoints
    this.login = login
  }

  get objectId(): string {
    return this.login.objectId
  }

  async token(resource = this.endpoints.resourceManager): Promise<string> {
    const key = `${this.login.clientId} ${resource}`
    const known = tokens.get(key)
    if (known !== undefined) return known
    const { tenantId, clientId, clientSecret } = this.login
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope: `${resource}/.default`,
    })
    const response = await fetch(`${this.endpoints.authority}/${tenantId}/oauth2/v2.0/token`, {
      method: 'POST',
      body: form,
    })
    const { access_token: token = '' } = (await response.json()) as { access_token?: string }
    tokens.set(key, token)
    return token
  }

  /** @param path with or without a query; a missing api-version is added */
  async arm(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    const url = path.startsWith('https:') ? path : `${this.endpoints.resourceManager}${path}`
    const version = url.includes('api-version=') ? '' : `${url.includes('?') ? '&' : '?'}api-version=${versionFor(url)}`
    const response = await fetch(url + version, {
      method,
      headers: { authorization: `Bearer ${await this.token()}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** Follows the polling of a 202 to its end. */
  async finished(reply: Reply): Promise<Reply> {
    let last = reply
    while (last.status === 202) {
      const location = last.headers.get('location')
      if (location === null) throw new Error('A 202 without Location.')
      await new Promise(resolve => setTimeout(resolve, 20))
      last = await this.arm('GET', location)
    }
    return last
  }

  async data(method: string, url: string, body?: unknown): Promise<Reply> {
    const response = await fetch(url, {
      method,
      headers: {
        authorization: `Bearer ${await this.token('https://cognitiveservices.azure.com')}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') ?? false
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }
}

function versionFor(url: string): string {
  const path = url.toLowerCase()
  if (path.includes('/microsoft.authorization/')) return '2022-04-01'
  if (path.includes('/microsoft.subscription/')) return '2021-10-01'
  if (path.includes('/microsoft.keyvault/')) return '2023-07-01'
  if (path.includes('/microsoft.cognitiveservices/')) return '2025-09-01'
  return '2022-09-01'
}

/** The cloud's own administrator. */
export async function administratorOf(endpoints: Endpoints): Promise<Client> {
  const { tenantId, administrator } = endpoints
  const first = new Client(endpoints, { ...administrator, tenantId, objectId: '' })
  const payload = (await first.token()).split('.')[1] ?? ''
  const { oid } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { oid: string }
  return new Client(endpoints, { ...administrator, tenantId, objectId: oid })
}

/** Another tenant with its administrator. */
export async function newTenant(administrator: Client, displayName: string): Promise<Client> {
  const made = await administrator.arm('POST', '/providers/OwnKey.Directory/tenants?api-version=2026-01-01', {
    properties: { displayName },
  })
  const { tenantId, administrator: login } = made.body.properties
  return new Client(administrator.endpoints, { tenantId, ...login })
}

let counter = 0

/** Someone without any role, in the tenant of the client. */
export async function newPrincipal(administrator: Client, tenant: Client, name: string): Promise<Client> {
  const properties = { displayName: `${name} ${++counter}` }
  const path = `/providers/OwnKey.Directory/tenants/${tenant.login.tenantId}/applications?api-version=2026-01-01`
  const made = await administrator.arm('POST', path, { properties })
  const { clientId, objectId, clientSecret } = made.body.properties
  return new Client(tenant.endpoints, { tenantId: tenant.login.tenantId, clientId, objectId, clientSecret })
}

/** Role definitions by name. */
export const ROLES = {
  owner: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635',
  contributor: 'b24988ac-6180-42a0-ab88-20f7382dd24c',
  reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7',
  userAccessAdministrator: '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9',
  cognitiveServicesContributor: '25fbc0a9-bd7c-42a3-aa1a-3b75d497ee68',
  openAiContributor: 'a001fd3d-188f-4b5d-821b-7da978bf7442',
  openAiUser: '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd',
  keyVaultContributor: 'f25e0fa2-a7c8-4377-a976-54943a77a395',
} as const

export function assign(by: Client, scope: string, principalId: string, role: string): Promise<Reply> {
  const name = crypto.randomUUID()
  return by.arm('PUT', `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`, {
    properties: { roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${role}`, principalId },
  })
}
