import assert from 'node:assert/strict'
import type { Endpoints } from '../../src/base/endpoints.ts'

type Json = Record<string, unknown>

export interface GraphAnswer<T> {
  readonly status: number
  readonly body: T
}

/** Microsoft Graph of a cloud, with somebody's token. */
export class Graph {
  readonly #url: string
  readonly #token: string

  constructor(endpoints: Endpoints, token: string) {
    this.#url = `${endpoints.authority}/v1.0`
    this.#token = token
  }

  /** With the token of the administrator's application. */
  static async asAdministrator(endpoints: Endpoints): Promise<Graph> {
    return new Graph(
      endpoints,
      await ownToken(endpoints, endpoints.administrator, 'https://graph.microsoft.com/.default'),
    )
  }

  async ask<T = Json>(method: string, path: string, body?: object): Promise<GraphAnswer<T>> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' }
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as T }
  }

  /** The body of an answer, which must be a success. */
  async get<T = Json>(method: string, path: string, body?: object): Promise<T> {
    const answer = await this.ask<T>(method, path, body)
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  /** An application with its service principal. */
  async application(body: object): Promise<{ id: string; appId: string; principalId: string }> {
    const { id, appId } = await this.get<{ id: string; appId: string }>('POST', '/applications', body)
    const principal = await this.get<{ id: string }>('POST', '/servicePrincipals', { appId })
    return { id, appId, principalId: principal.id }
  }
}

/** An application's own token. */
export async function ownToken(
  endpoints: Endpoints,
  client: { readonly clientId: string; readonly clientSecret: string },
  scope: string,
  tenantId = endpoints.tenantId,
): Promise<string> {
  const { status, body } = await tokenRequest(
    endpoints,
    {
      grant_type: 'client_credentials',
      client_id: client.clientId,
      client_secret: client.clientSecret,
      scope,
    },
    { tenant: tenantId },
  )
  assert.equal(status, 200, JSON.stringify(body))
  return String(body['access_token'])
}

export async function tokenRequest(
  { authority, tenantId }: Endpoints,
  form: Record<string, string>,
  {
    tenant = tenantId,
    version = '/v2.0',
    headers = {},
  }: { tenant?: string; version?: string; headers?: Record<string, string> } = {},
): Promise<GraphAnswer<Json> & { readonly headers: Headers }> {
  const response = await fetch(`${authority}/${tenant}/oauth2${version}/token`, {
    method: 'POST',
    headers,
    body: new URLSearchParams(form),
  })
  return { status: response.status, headers: response.headers, body: (await response.json()) as Json }
}
